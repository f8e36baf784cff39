// SPDX-License-Identifier: MIT
// Which fusermount3 can be of use here, and what its messages ask for. It is a program with
// privilege: one that lost it, or may not gain it, is found out before anything relies on it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "system/subprocess.h"

namespace squenv::mount {

struct Fusermount {
    std::string path;
    std::string finding{};                   ///< what makes it usable
    std::vector<std::string> passed_over{};  ///< "PATH REASON" of those that are of no use
};

/// For root the first in PATH or the usual directories. For others the first that is setuid root
/// or has capabilities, and keeps them when it is run; else a script, which may call one.
/// Errors: environment, with what is wrong with each and what would mend it.
[[nodiscard]] Result<Fusermount> choose_fusermount();
/// Its path alone.
[[nodiscard]] Result<std::string> find_fusermount();

/// fusermount3 looks for a mount in /etc/mtab before it unmounts it for an ordinary user, not
/// before it mounts: `path` must follow the kernel's table. Errors: environment.
[[nodiscard]] Status check_mtab(const std::string& path = "/etc/mtab");

/// Both: a mount can be made and taken away, as far as can be known without making one.
[[nodiscard]] Status check_fusermount();
/// How it passed, in a line: what is used, and what was passed over.
[[nodiscard]] std::string describe_fusermount();

/// What fusermount3 said, on one line.
[[nodiscard]] std::string fusermount_reason(const system::SubprocessResult& result);
/// What to do about it; "" when that is not known.
[[nodiscard]] std::string fusermount_remedy(const std::string& reason);

}  // namespace squenv::mount
