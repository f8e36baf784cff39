// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/unique_fd.h"
#include "trace/trace.h"

namespace squenv::trace {

namespace {

/// A daemon that was told to unmount needs a moment to write.
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kStep{10};
/// A recorder keeps a quarter of a million items; paths are at most 4 KiB and mostly 80 bytes.
constexpr off_t kMaxFile = 256 << 20;

/// Daemons hold the lock as long as they record. File systems without locks have none to wait for.
Status wait_until_written(int fd, const std::string& path) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        if (std::chrono::steady_clock::now() >= end)
            return fail(Errc::busy, path + ": a mount is still recording into it",
                        "unmount that first");
        std::this_thread::sleep_for(kStep);
    }
    return {};
}

}  // namespace

Result<Trace> load(const std::string& path) {
    SQUENV_TRY_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY));
    SQUENV_TRY(wait_until_written(fd.get(), path));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, path);
    if (info.st_size > kMaxFile) return fail(Errc::limit, path + ": too large for a trace");
    std::string text;
    char buffer[64 << 10];
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, path);
        if (got == 0) break;
        if (text.size() + static_cast<std::size_t>(got) > static_cast<std::size_t>(kMaxFile))
            return fail(Errc::limit, path + ": too large for a trace");
        text.append(buffer, static_cast<std::size_t>(got));
    }
    auto trace = parse(text);
    if (!trace) return with_context(trace.error(), path);
    return trace;
}

}  // namespace squenv::trace
