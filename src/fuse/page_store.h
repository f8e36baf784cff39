// SPDX-License-Identifier: MIT
// Putting decoded bytes into the page cache before anybody asks for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "fuse/file_system.h"
#include "fuse/reader_turn.h"

namespace squenv::fuse {

/// A block is decoded for one request, which often wants a part of it: the kernel asks for 128 KiB
/// around a page fault, and one fragment block holds the content of some twenty small files. The
/// rest is handed over at once, which costs a copy instead of a round trip of 50 us each.
/// Thread-safe.
class PageStore {
  public:
    /// Hands bytes of a node at a page-aligned offset to the kernel; false when it has no such
    /// inode. Waits while any of the pages is being read by somebody else.
    using Store = std::function<bool(NodeId, std::uint64_t offset, ByteView)>;

    PageStore(const FileSystem& file_system, ReaderTurn& turn, Store store)
        : file_system_(file_system), turn_(turn), store_(std::move(store)) {}

    /// After the READ of [offset, offset + size) was answered, never before: its folios may reach
    /// beyond it, and are locked until then. Hands over the rest of the blocks it decoded, and the
    /// small files that share its fragment blocks. Stops when other requests wait.
    void store_fresh(NodeId node, std::uint64_t offset, std::uint64_t size,
                     const std::vector<image::FreshBlock>& fresh);

    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    [[nodiscard]] bool store(NodeId node, std::uint64_t offset, ByteView bytes);
    void store_rest(NodeId node, std::uint64_t offset, std::uint64_t end,
                    const image::FreshBlock& fresh);
    void store_siblings(NodeId node, ByteView fragment);

    const FileSystem& file_system_;
    ReaderTurn& turn_;
    Store store_;
    /// Held by the one thread that stores. Another that wants to does not wait but leaves it, so
    /// that a thread is always left to answer the reads whose pages this one may wait for.
    std::mutex storing_;
    std::atomic<std::uint64_t> stored_bytes_{0};
};

}  // namespace squenv::fuse
