// SPDX-License-Identifier: MIT
// How much this process may still take of memory and of a disk. What lies in /dev/shm is memory,
// and is charged to the control group of the job that writes it: beyond the limit the job is
// killed.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv {

/// Bytes until the first limit: of the machine, of the control group or of one above it, of
/// versions 1 and 2. Caches that the kernel can drop count as free. `root` has proc and sys in it.
[[nodiscard]] std::uint64_t memory_room(const std::string& root = "");

/// The bytes that this user may write in `directory`; 0 when that cannot be told. On a tmpfs also
/// limited by memory_room().
[[nodiscard]] std::uint64_t room_in(const std::string& directory);

/// Writes 1 MiB into `directory` and removes it. Programs that take a short write for a whole one,
/// as Python before 3.14 does with compiled modules, have left cut files where this fails.
/// Errors: limit (no room, quota, limit of file sizes), denied, io.
[[nodiscard]] Status try_room(const std::string& directory);

}  // namespace squenv
