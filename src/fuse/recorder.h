// SPDX-License-Identifier: MIT
// Noting what is touched first, for a trace.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "fuse/file_system.h"
#include "fuse/request_counters.h"
#include "trace/trace.h"

namespace squenv::fuse {

/// The kernel asks for everything once and then keeps it, so the requests of a fresh mount are the
/// first touches. They are noted by node, which is cheap; paths are looked for at the end.
/// Thread-safe. Takes 6 MiB at most; what comes later is not recorded.
class Recorder {
  public:
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
    struct Touch {
        NodeId node = 0;
        std::uint64_t offset = 0;      ///< `miss`: where the name begins in missing_names_
        std::uint32_t size_bytes = 0;  ///< `miss`: of the name
        trace::Use use = trace::Use::look;
    };
    struct Slow {
        std::uint64_t microseconds = 0;
        NodeId node = 0;
        std::uint64_t offset = 0;
        std::uint64_t size_bytes = 0;
        RequestKind kind = RequestKind::lookup;
    };
    void add(const Touch& touch);
    [[nodiscard]] std::string_view missing_name_of(const Touch& touch) const;

    mutable std::mutex mutex_;  ///< protects the rest
    std::vector<Touch> touches_;
    std::string missing_names_;
    std::vector<Slow> slowest_;  ///< slowest first
    bool is_full_ = false;
};

}  // namespace squenv::fuse
