// SPDX-License-Identifier: MIT
#include "versions/refusal.h"

#include <cerrno>

namespace squenv::versions {

tl::unexpected<Error> refused(int sys_errno, const std::string& path) {
    switch (sys_errno) {
        case EACCES:
        case EPERM: return fail_errno(sys_errno, path, "ask its owner to let you write there");
        case ENOSPC:
        case EDQUOT:
            return fail_errno(sys_errno, path,
                              "free some space; 'squenv prune' removes old versions");
        case EFBIG: return fail_errno(sys_errno, path, "raise 'ulimit -f'");
        case EROFS: return fail_errno(sys_errno, path, "copy the image to where you may write");
        default:
            return fail_errno(sys_errno, path,
                              "look at the disk, and at the access rights of its directory");
    }
}

}  // namespace squenv::versions
