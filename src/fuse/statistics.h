// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "fuse/session.h"
#include "fuse/session_memory.h"
#include "image/image.h"

namespace squenv::fuse {

/// The live counters of a mount as one line of JSON; documented in squenv-stats(1).
[[nodiscard]] std::string statistics_json(const image::Image& image, const SessionMemory& memory,
                                          std::uint64_t stored_bytes,
                                          const SessionOptions& options);

}  // namespace squenv::fuse
