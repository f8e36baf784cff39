// SPDX-License-Identifier: MIT
#include "base/unique_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace squenv {

void UniqueFd::reset(int fd) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old >= 0) ::close(old);
}

Result<UniqueFd> open_file(const std::string& path, int flags, unsigned mode) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno(errno, path.empty() ? "''" : path);
    if (fd <= 2) {
        const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
        const int saved = errno;
        ::close(fd);
        if (moved < 0) return fail_errno(saved, path);
        fd = moved;
    }
    return UniqueFd(fd);
}

Result<UniqueFd> open_regular_file(const std::string& path, int flags) {
    auto file = open_file(path, flags | O_NOFOLLOW | O_NONBLOCK);
    struct stat info {};
    if (file ? ::fstat(file->get(), &info) == 0 && S_ISREG(info.st_mode)
             : ::lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode))
        return file;
    return fail(Errc::denied, path + ": is no regular file",
                "another user may have put it there: remove it");
}

void guard_standard_fds() {
    int fd = -1;
    do {
        fd = ::open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2) ::close(fd);
}

}  // namespace squenv
