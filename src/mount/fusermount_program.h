// SPDX-License-Identifier: MIT
// Which fusermount3 is usable here, and the remedies for its messages. It is a privileged program:
// a check finds one that lost its privilege, or cannot gain it, before a mount relies on it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "system/subprocess.h"

namespace squenv::mount {

struct Fusermount {
    std::string path;
    std::string finding{};                   ///< what makes it usable
    std::vector<std::string> passed_over{};  ///< "PATH REASON" of the unusable ones
};

/// For root the first in PATH or the usual directories. For others the first that is setuid root or
/// has capabilities, and keeps them when it runs. Without one, a script, which may call one.
/// Errors: environment, with the fault of each and its remedy.
[[nodiscard]] Result<Fusermount> choose_fusermount();
/// The path alone.
[[nodiscard]] Result<std::string> find_fusermount();

/// For an ordinary user, fusermount3 looks a mount up in /etc/mtab before it unmounts, not before
/// it mounts. So `path` must follow the kernel's table. Errors: environment.
[[nodiscard]] Status check_mtab(const std::string& path = "/etc/mtab");

/// Both checks: a mount can be made and removed, as far as is visible without making one.
[[nodiscard]] Status check_fusermount();
/// The result of the checks in one line: the usable program, and those passed over.
[[nodiscard]] std::string describe_fusermount();

/// The message of fusermount3, on one line.
[[nodiscard]] std::string fusermount_reason(const system::SubprocessResult& result);
/// The remedy for it; "" when none is known.
[[nodiscard]] std::string fusermount_remedy(const std::string& reason);

}  // namespace squenv::mount
