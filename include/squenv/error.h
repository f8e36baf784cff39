// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace squenv {

/// What kind of failure this is. errno values and exit codes are derived from it
/// in one place each (base/result.h).
enum class Errc {
    io,                ///< the storage under the image failed; a retry may succeed
    corrupt,           ///< the image contradicts the format
    unsupported,       ///< valid, but this build or version cannot handle it
    limit,             ///< a documented limit was exceeded
    not_found,         ///< the named object does not exist
    exists,            ///< the object to be created exists already
    denied,            ///< permission is missing
    busy,              ///< the object is in use
    invalid_argument,  ///< the caller or the command line is wrong
    environment,       ///< the machine lacks what is needed (device, helper, kernel feature)
    cancelled,         ///< stopped on request
    internal,          ///< a defect of squenv
};

/// One failure. `context` names the object and the reason, outermost first, as in
/// "image.sqfs: inode 812: block 3: zstd: ...". `hint` is the next step for the user, or empty.
struct Error {
    Errc code = Errc::internal;
    int sys_errno = 0;  ///< the errno of the failed system call, 0 when none was involved
    std::string context{};
    std::string hint{};

    /// context, the errno text when there is one, and the hint, on one line.
    [[nodiscard]] std::string message() const;
};

}  // namespace squenv
