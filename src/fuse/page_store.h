// SPDX-License-Identifier: MIT
// Putting decoded bytes into the page cache before anybody asks for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "fuse/file_system.h"
#include "fuse/reader_turn.h"
#include "fuse/unanswered_reads.h"

namespace squenv::fuse {

/// A fragment block is decoded for one small file and holds some twenty others. Their content is
/// handed over at once, which costs a copy instead of a round trip of 50 us each. (The rest of a
/// data block is not: it was measured, and what it saves it costs.)
/// Thread-safe.
class PageStore {
  public:
    /// Hands the content of a node to the kernel; false when it has no such inode. Waits while any
    /// of the pages is being read by somebody else.
    using Store = std::function<bool(NodeId, ByteView)>;

    PageStore(const FileSystem& file_system, ReaderTurn& turn, const UnansweredReads& reads,
              Store store)
        : file_system_(file_system), turn_(turn), reads_(reads), store_(std::move(store)) {}

    /// Before the READ of `node` is answered: the small files behind it in its fragment block.
    /// Answering first would be quicker for this file and slower for the next ones, whose requests
    /// would be under way already. Pages of `node` itself are locked and never stored here.
    void before_reply(NodeId node, const image::Block& fragment);
    /// After it was answered: what comes next, when small files are being read in the order in
    /// which they are stored.
    void after_reply(NodeId node);

    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    [[nodiscard]] bool store(NodeId node, ByteView bytes);
    /// Returns the first file behind them, or nothing when it is not worth going on.
    [[nodiscard]] std::optional<NodeId> store_siblings(NodeId node, ByteView fragment);

    const FileSystem& file_system_;
    ReaderTurn& turn_;
    const UnansweredReads& reads_;
    Store store_;
    /// Held by the one thread that stores. Another that wants to does not wait but leaves it, so
    /// that a thread is always left to answer the reads whose pages this one may wait for.
    std::mutex storing_;
    std::uint32_t last_fragment_ = 0;  ///< the last one stored; protected by storing_
    std::optional<NodeId> next_;       ///< the file behind the last siblings; likewise
    unsigned depth_ = 0;               ///< fragments to read ahead; protected by storing_
    std::atomic<std::uint64_t> stored_bytes_{0};
};

}  // namespace squenv::fuse
