// SPDX-License-Identifier: MIT
// Requests for content that are answered later than they could be.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "fuse/file_system.h"

namespace squenv::fuse {

/// Bytes of a file.
struct FileRange {
    NodeId node = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end - begin); }
    [[nodiscard]] bool overlaps(const FileRange& other) const {
        return node == other.node && begin < other.end && other.begin < end;
    }
};

/// Puts bytes into the page cache at an offset of a node; false when the kernel does not know the
/// node.
using StorePages = std::function<bool(NodeId, std::uint64_t offset, ByteView)>;

/// Stores `pieces` of `bytes`, which lie at `offset` of the file of all of them, and adds what was
/// stored to `stored_bytes`. False when one is refused; the rest is not tried then.
[[nodiscard]] bool store_pieces(const StorePages& store, const std::vector<FileRange>& pieces,
                                std::uint64_t offset, ByteView bytes,
                                std::atomic<std::uint64_t>& stored_bytes);

/// A program that does nothing but read is faster than decoding, and would ask for every piece at
/// the front of what is decoded ahead of it: a round trip each, while the processors could decode.
/// So its request waits until kAhead more is in the page cache, or for kPatience at most.
///
/// The kernel has the pages of a request locked until it is answered, and storing waits for them:
/// whoever stores leaves out what without() leaves out. Not thread-safe: its owner locks.
class DeferredReads {
  public:
    using Clock = std::chrono::steady_clock;
    using Answer = std::function<void()>;

    /// Bytes of content; 1, 4 and 16 MiB measured the same.
    static constexpr std::uint64_t kAhead = 4 << 20;
    static constexpr std::chrono::milliseconds kPatience{8};

    void add(const FileRange& range, Answer answer);
    [[nodiscard]] bool empty() const { return waiting_.empty(); }
    /// When the oldest one has waited for long enough. There must be one.
    [[nodiscard]] Clock::time_point due() const { return waiting_.front().since + kPatience; }
    [[nodiscard]] bool overlaps(const FileRange& range) const;
    /// What is left of `range` besides what requests are about.
    [[nodiscard]] std::vector<FileRange> without(const FileRange& range) const;
    /// Takes out those for which `is_due(range, is_late)` holds; the caller runs the answers,
    /// without its lock.
    [[nodiscard]] std::vector<Answer> take(
        const std::function<bool(const FileRange&, bool is_late)>& is_due);

  private:
    struct Waiting {
        FileRange range;
        Clock::time_point since;
        Answer answer;
    };
    std::vector<Waiting> waiting_;  ///< the oldest first
};

}  // namespace squenv::fuse
