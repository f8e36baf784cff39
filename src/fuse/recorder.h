// SPDX-License-Identifier: MIT
// Noting what is touched first, for a trace.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>

#include "appendix/appendix.h"
#include "fuse/file_system.h"
#include "fuse/request_counters.h"
#include "trace/trace.h"

namespace squenv::fuse {

/// What is recorded, in memory that outlives the process and is zero at first: see
/// base/shared_object.h. Pages that are not used take no memory. Counts come after what they count.
struct RecorderMemory {
    struct Touch {
        NodeId node;
        std::uint64_t offset;      ///< `miss`: where the name begins in `names`
        std::uint32_t size_bytes;  ///< `miss`: of the name
        trace::Use use;
    };
    struct Slow {
        std::uint64_t microseconds;
        NodeId node;
        std::uint64_t offset;
        std::uint64_t size_bytes;
        RequestKind kind;
    };
    /// No image takes more of it.
    static constexpr std::size_t kMaxTouches = appendix::kMaxHotItems;
    static constexpr std::size_t kMaxNames = appendix::kMaxHotListBytes;

    std::size_t touch_count;
    std::size_t name_bytes;
    std::size_t slow_count;
    bool is_full;
    std::array<Slow, trace::kMaxSlow> slowest;  ///< slowest first
    std::array<Touch, kMaxTouches> touches;
    std::array<char, kMaxNames> names;
};

/// The kernel asks for everything once and then keeps it, so the requests of a fresh mount are the
/// first touches. They are noted by node, which is cheap; paths are looked for at the end.
/// Thread-safe, in one process at a time. What comes when its memory is full is not recorded.
class Recorder {
  public:
    /// Goes on with what is in `memory`, which outlives it.
    explicit Recorder(RecorderMemory& memory) : memory_(memory) {}

    void note(trace::Use use, NodeId node, std::uint64_t offset = 0, std::uint64_t size = 0);
    void note_missing(NodeId directory, std::string_view name);
    /// How long a request took.
    void note_duration(RequestKind kind, NodeId node, std::uint64_t microseconds,
                       std::uint64_t offset = 0, std::uint64_t size = 0);

    /// The trace so far. Goes through the directories until every node has its first path; paths
    /// count from the root of the image, whatever part of it is mounted.
    [[nodiscard]] trace::Trace finish(const FileSystem& file_system,
                                      const RequestCounters& counters) const;

  private:
    using Touch = RecorderMemory::Touch;
    using Slow = RecorderMemory::Slow;
    void add(const Touch& touch);
    [[nodiscard]] std::string_view missing_name_of(const Touch& touch) const;
    [[nodiscard]] std::span<const Touch> touches() const {
        return std::span(memory_.touches).first(memory_.touch_count);
    }
    [[nodiscard]] std::span<const Slow> slowest() const {
        return std::span(memory_.slowest).first(memory_.slow_count);
    }

    mutable std::mutex mutex_;  ///< protects memory_
    RecorderMemory& memory_;
};

}  // namespace squenv::fuse
