// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "base/result.h"

namespace squenv::pack {

/// A system call that failed while `object` was made, with what the user can do about it.
[[nodiscard]] inline tl::unexpected<Error> write_failure(int sys_errno, std::string object) {
    std::string hint = "choose another place for the image with -o";
    if (sys_errno == ENOSPC || sys_errno == EDQUOT)
        hint = "free some space, or " + hint;
    else if (sys_errno == EFBIG)
        hint = "raise 'ulimit -f'";
    else if (sys_errno == EIO)
        hint = "check the disk, or " + hint;
    return fail_errno(sys_errno, std::move(object), std::move(hint));
}

}  // namespace squenv::pack
