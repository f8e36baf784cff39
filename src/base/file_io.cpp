// SPDX-License-Identifier: MIT
#include "base/file_io.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.h"

namespace squenv {

namespace {

/// Calls `step` with the rest of `bytes` and the number of bytes done, until nothing is left.
template <class Bytes, class Step>
Status repeat(Bytes bytes, const Step& step) {
    std::uint64_t done = 0;
    while (!bytes.empty()) {
        const ssize_t size = step(bytes, done);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, "");
        if (size == 0) return fail(Errc::io, "the file ends too early");
        bytes = bytes.subspan(static_cast<std::size_t>(size));
        done += static_cast<std::uint64_t>(size);
    }
    return {};
}

}  // namespace

Status write_all(int file, ByteView bytes) {
    return repeat(bytes, [file](ByteView left, std::uint64_t) {
        return ::write(file, left.data(), left.size());
    });
}

Status write_at(int file, ByteView bytes, std::uint64_t position) {
    return repeat(bytes, [file, position](ByteView left, std::uint64_t done) {
        return ::pwrite(file, left.data(), left.size(), static_cast<off_t>(position + done));
    });
}

Status read_at(int file, MutableBytes bytes, std::uint64_t position) {
    return repeat(bytes, [file, position](MutableBytes left, std::uint64_t done) {
        return ::pread(file, left.data(), left.size(), static_cast<off_t>(position + done));
    });
}

Result<std::string> read_to_end(int file) {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
        const ssize_t size = ::read(file, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, "");
        if (size == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
}

Result<std::string> file_content(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto file, open_file(path, O_RDONLY | O_CLOEXEC));
    auto text = read_to_end(file.get());
    if (!text) return with_context(text.error(), path);
    return text;
}

bool stat_open_file(int file, struct stat& info) {
#if defined(SYS_fstat) && defined(__x86_64__)
    return ::syscall(SYS_fstat, file, &info) == 0;
#else
    return ::fstat(file, &info) == 0;
#endif
}

}  // namespace squenv
