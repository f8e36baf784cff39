// SPDX-License-Identifier: MIT
// Mounts that only the processes in a namespace of their own see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mount/kernel_mount.h"
#include "mount/namespaces.h"

namespace squenv::mount {

/// One of them: a FUSE mount, or the directory `bind_source` shown read-only at the mount point.
struct PrivateMount {
    KernelMount kernel{};
    std::string bind_source{};
};

/// What came of it. `devices` has a connection for each mount, empty for bound directories.
struct PrivateMounts {
    Namespaces namespaces{};
    std::vector<UniqueFd> devices{};
    std::vector<std::uint32_t> minors{};  ///< MountEntry::device_minor of each, 0 where unknown
};

inline constexpr std::size_t kMaxPrivateMounts = 32;

/// Makes new namespaces with `mounts` in them, in a process that ends with that: the caller stays
/// where it is, so a refusal costs nothing. Mount points that do not exist are covered (see
/// private_root.h). Before any thread exists. Errors: environment or denied, with what would mend
/// it; limit.
[[nodiscard]] Result<PrivateMounts> make_private_mounts(const std::vector<PrivateMount>& mounts);

}  // namespace squenv::mount
