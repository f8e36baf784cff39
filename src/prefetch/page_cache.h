// SPDX-License-Identifier: MIT
// Putting decoded bytes into the kernel's page cache before they are asked for: the rules of it,
// and the requests that are held until it is done.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/bytes.h"
#include "prefetch/held_requests.h"
#include "prefetch/unanswered_reads.h"

namespace squenv::prefetch {

/// What the connection to the kernel offers, and what is known of the requests on it. Thread-safe.
class KernelPages {
  public:
    virtual ~KernelPages() = default;
    /// Puts bytes into the page cache at an offset of a file. False when the kernel has no such
    /// inode. Waits while one of the pages is locked by a READ that is not answered yet.
    [[nodiscard]] virtual bool store(FileId file, std::uint64_t offset, ByteView bytes) = 0;
    /// Requests wait to be received. One may be a READ of any page.
    [[nodiscard]] virtual bool are_requests_waiting() const = 0;
    /// The calling thread is the one that receives requests.
    [[nodiscard]] virtual bool is_receiving() const = 0;
    /// store() on the thread that receives requests. When the store waits for longer than a
    /// moment, another thread receives them.
    [[nodiscard]] virtual bool store_while_receiving(FileId file, std::uint64_t offset,
                                                     ByteView bytes) = 0;
    /// The calling thread begins work that no request waits for: another one receives requests.
    virtual void stop_receiving() = 0;
};

/// FUSE_NOTIFY_STORE waits for a page that is locked, and a READ keeps its pages locked until it is
/// answered. So nothing is stored for a range that an unanswered READ is about, nothing is stored
/// while requests wait to be received, and each store is short.
/// Thread-safe.
class PageCache {
  public:
    explicit PageCache(KernelPages& kernel) : kernel_(kernel) {}

    /// Stores `bytes`, which are those of `range`, in steps, without what unanswered READs are
    /// about. Waits for a moment for waiting requests to be received, and leaves the step out when
    /// they are not. False when the kernel refuses a step; the rest is not tried then. Not for
    /// threads that receive requests.
    [[nodiscard]] bool store(const FileRange& range, ByteView bytes);
    /// Stores the whole content of a small file, on a thread that answers a request. False when the
    /// kernel refuses it or requests wait.
    [[nodiscard]] bool store_file(FileId file, ByteView bytes);
    /// See KernelPages.
    void stop_receiving() { kernel_.stop_receiving(); }

    [[nodiscard]] UnansweredReads& reads() { return reads_; }
    [[nodiscard]] HeldRequests& held() { return held_; }
    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    [[nodiscard]] bool await_no_request() const;
    bool count(bool is_stored, std::size_t bytes);

    KernelPages& kernel_;
    UnansweredReads reads_;
    HeldRequests held_;
    std::atomic<std::uint64_t> stored_bytes_{0};
};

}  // namespace squenv::prefetch
