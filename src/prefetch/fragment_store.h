// SPDX-License-Identifier: MIT
// The small files beside one that is read.
#pragma once

#include <mutex>
#include <optional>

#include "image/image.h"
#include "prefetch/fragment_plan.h"
#include "prefetch/page_cache.h"

namespace squenv::prefetch {

/// A fragment block is decoded for one small file and holds some twenty others. Their content is
/// stored at once, which costs a copy instead of a round trip of 50 us each. (The rest of a data
/// block is not: it was measured, and what it saves it costs.)
///
/// It works on the thread that answers the READ. Thread-safe.
class FragmentStore {
  public:
    FragmentStore(const image::Image& image, PageCache& pages) : image_(image), pages_(pages) {}

    /// Before the READ of `file` is answered: the small files after it in its fragment block.
    /// Answering first would be quicker for this file and slower for the next ones, whose requests
    /// would be under way already. Pages of `file` itself are locked and never stored here.
    void before_reply(const image::Inode& file, const image::Block& fragment);
    /// After it was answered: what comes next, when small files are being read in the order in
    /// which they are stored.
    void after_reply(const image::Inode& file);

  private:
    [[nodiscard]] bool store_next();
    [[nodiscard]] std::optional<image::Inode> store_siblings(const image::Inode& file,
                                                             ByteView fragment);

    const image::Image& image_;
    PageCache& pages_;
    /// Held by the one thread that stores. Another that wants to does not wait but leaves it, so
    /// that a thread is always left to answer the reads whose pages this one may wait for.
    std::mutex storing_;
    FragmentPlan plan_;                 ///< protected by storing_
    std::optional<image::Inode> next_;  ///< the file after the last siblings; likewise
};

}  // namespace squenv::prefetch
