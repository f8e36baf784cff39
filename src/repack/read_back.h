// SPDX-License-Identifier: MIT
// Reading an image back after packing: it has to say what the source said.
#pragma once

#include <string>

#include "pack/pack.h"

namespace squenv::repack {

/// Opens the image at `path` with our reader and compares every file with the hash taken while the
/// source was read. Errors: corrupt (naming the first file that differs), io, cancelled.
[[nodiscard]] Status read_back(const std::string& path, const pack::Expectation& expected);

}  // namespace squenv::repack
