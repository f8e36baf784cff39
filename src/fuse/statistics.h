// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>

#include "fuse/request_counters.h"
#include "fuse/session.h"
#include "image/image.h"

namespace squenv::fuse {

/// The live counters of a mount as one line of JSON; documented in squenv-stats(1).
[[nodiscard]] std::string statistics_json(const image::Image& image,
                                          const RequestCounters& requests,
                                          std::uint64_t stored_bytes, const SessionOptions& options,
                                          std::chrono::steady_clock::time_point started);

}  // namespace squenv::fuse
