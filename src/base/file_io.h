// SPDX-License-Identifier: MIT
// Whole reads and writes: the kernel may do a part of one and may be interrupted.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace squenv {

/// Writes all of `bytes` at the file's offset. Errors: those of write(2), without a context.
[[nodiscard]] Status write_all(int file, ByteView bytes);
/// Writes all of `bytes` at `position`. Errors: those of pwrite(2), without a context.
[[nodiscard]] Status write_at(int file, ByteView bytes, std::uint64_t position);
/// Fills `bytes` from `position`. Errors: those of pread(2), without a context; io (the file ends
/// before).
[[nodiscard]] Status read_at(int file, MutableBytes bytes, std::uint64_t position);

/// All that can be read from the file's offset on. Errors: those of read(2), without a context.
[[nodiscard]] Result<std::string> read_to_end(int file);
/// The content of the file at `path`, also of files in /proc, whose size is not known before. The
/// streams of the C++ library throw where such a read fails. Errors: open(2), read(2).
[[nodiscard]] Result<std::string> file_content(const std::string& path);

/// fstat(2) by the system call of that name. The C library's function passes an empty path, which a
/// sandbox that refuses paths cannot tell from others. False when it fails; errno has the reason.
[[nodiscard]] bool stat_open_file(int file, struct stat& info);

}  // namespace squenv
