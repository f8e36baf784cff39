// SPDX-License-Identifier: MIT
// The messages of --verbose about packing: the settings, then one line after each pass.
#pragma once

#include <string>

#include "squenv/pack.h"

namespace squenv::cli {

/// "zstd level 3, blocks of 256.0 KiB; 2 threads compress, 2 read; 12.0 MiB for file data".
[[nodiscard]] std::string settings_line(const pack::Options& options);
/// "scan: 23943 entries; 0.083 s".
[[nodiscard]] std::string pass_line(const pack::PassDone& done);

}  // namespace squenv::cli
