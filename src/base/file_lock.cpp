// SPDX-License-Identifier: MIT
#include "base/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace squenv {

Locking lock_file(int fd, int operation) {
    int result = 0;
    do {
        result = ::flock(fd, operation);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return Locking::held;
    // ENOSYS, ENOLCK and EOPNOTSUPP are usual; system call filters choose any number.
    return errno == EWOULDBLOCK ? Locking::busy : Locking::impossible;
}

bool is_named(int fd, const std::string& path) {
    struct stat own {};
    struct stat named {};
    return ::fstat(fd, &own) == 0 && ::lstat(path.c_str(), &named) == 0 &&
           own.st_ino == named.st_ino && own.st_dev == named.st_dev;
}

}  // namespace squenv
