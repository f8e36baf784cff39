// SPDX-License-Identifier: MIT
// What a trace says, counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"
#include "trace/trace.h"

namespace squenv::cli {

/// How much of an image a trace touches.
struct ImageShare {
    std::uint64_t files = 0;                 ///< of the image
    std::uint64_t bytes = 0;                 ///< in them
    std::uint64_t stored_bytes = 0;          ///< of the image itself
    std::uint64_t touched_stored_bytes = 0;  ///< of the blocks that the reads need
    std::uint64_t unknown_paths = 0;         ///< of the trace, that the image has not got
};

struct TraceReport {
    std::uint64_t looked_at = 0;
    std::uint64_t listed = 0;
    std::uint64_t links = 0;
    std::uint64_t missing = 0;
    std::uint64_t files_read = 0;
    std::uint64_t bytes_read = 0;
    struct File {
        std::string path;
        std::uint64_t bytes = 0;
    };
    std::vector<File> most_read;  ///< most bytes first, at most ten
};

[[nodiscard]] TraceReport count(const trace::Trace& trace);
/// Errors: corrupt, io.
[[nodiscard]] Result<ImageShare> share_of(const trace::Trace& trace, const image::Image& image);

}  // namespace squenv::cli
