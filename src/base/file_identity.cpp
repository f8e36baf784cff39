// SPDX-License-Identifier: MIT
#include "base/file_identity.h"

#include <cerrno>

namespace squenv {

FileIdentity identity_of(const struct stat& info) {
    constexpr std::int64_t kNanoseconds = 1'000'000'000;
    return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
            info.st_mtim.tv_sec * kNanoseconds + info.st_mtim.tv_nsec};
}

Result<FileIdentity> identify(int descriptor, const std::string& path) {
    struct stat info {};
    if (::fstat(descriptor, &info) != 0) return fail_errno(errno, path);
    return identity_of(info);
}

}  // namespace squenv
