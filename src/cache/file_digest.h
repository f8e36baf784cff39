// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "base/result.h"

namespace squenv::cache {

/// SHA-256 of a whole file, as 64 hexadecimal digits. About 2 s per GiB from the page cache.
/// Errors: not_found, denied, io. Thread-safe.
[[nodiscard]] Result<std::string> file_digest(const std::string& path);

}  // namespace squenv::cache
