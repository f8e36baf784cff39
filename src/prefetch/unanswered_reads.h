// SPDX-License-Identifier: MIT
#pragma once

#include <mutex>
#include <vector>

#include "prefetch/file_range.h"

namespace squenv::prefetch {

/// The READ requests that were received and not answered yet. The kernel has their pages locked,
/// and FUSE_NOTIFY_STORE waits for a locked page in a way that even SIGKILL does not end. So what
/// they are about is not stored. (A READ that comes while its pages are being stored still makes
/// the store wait, for as long as the answer takes.)
/// Thread-safe.
class UnansweredReads {
  public:
    /// One of them, from its receipt until it is destroyed: after the answer.
    class Entry {
      public:
        Entry(UnansweredReads& reads, const FileRange& range);
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry();

      private:
        UnansweredReads& reads_;
        const FileRange range_;
    };

    [[nodiscard]] bool overlaps(const FileRange& range) const;
    /// What is left of `range` besides what they are about.
    [[nodiscard]] std::vector<FileRange> without(const FileRange& range) const;

  private:
    mutable std::mutex mutex_;       ///< protects ranges_
    std::vector<FileRange> ranges_;  ///< a handful
};

}  // namespace squenv::prefetch
