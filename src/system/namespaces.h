// SPDX-License-Identifier: MIT
// A user namespace and the mount namespace that belongs to it. An ordinary user may mount there.
// The maps hold the own uid and gid alone, so nothing in it looks like root. A process that may
// mount anyway needs a mount namespace alone.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// Open descriptors of a pair of namespaces. They keep the namespaces, and the mounts in them,
/// alive.
struct Namespaces {
    UniqueFd user{};  ///< that of the caller where no other was needed
    UniqueFd mount{};
    UniqueFd root{};  ///< the directory to be "/" there; empty unless a chroot is to be kept
    explicit operator bool() const { return mount.get() >= 0; }
};

/// Whether mounts made or removed outside later are made or removed inside too. The other direction
/// never holds. With `from_outside`, a mount in use inside cannot be unmounted outside: it is busy.
enum class Propagation { from_outside, none };

/// Moves the calling process, which has one thread, into new namespaces.
/// Errors: environment, with the reason why this machine refuses and the remedy.
[[nodiscard]] Status enter_new_namespaces(Propagation propagation);

/// Whether this process can have mounts of its own without a user namespace. It then holds
/// CAP_SYS_ADMIN to mount, and CAP_SYS_CHROOT, which joining a mount namespace requires too.
[[nodiscard]] bool needs_no_user_namespace();

/// Moves such a process, which has one thread, into a new mount namespace. Mounts made outside
/// later appear inside too, not the other way round. Returns the root directory of the process when
/// it is not that of the namespace, as in a chroot. A joining process must go back there. Errors:
/// environment, denied.
[[nodiscard]] Result<UniqueFd> enter_mount_namespace();

/// Whether this process can join a namespace: a process with several threads may not.
/// Errors: environment.
[[nodiscard]] Status check_single_thread();

/// Whether users are mapped one to one. Capabilities count fully only outside of user namespaces.
[[nodiscard]] bool is_initial_user_namespace();

/// The namespaces of the calling process. Errors: io.
[[nodiscard]] Result<Namespaces> own_namespaces();

/// Whether the user namespace of `namespaces` differs from that of this process.
[[nodiscard]] bool has_other_user(const Namespaces& namespaces);

/// Moves the calling process, which has one thread, into `namespaces` and back to the path of its
/// working directory. Where that path leads nowhere, it stays in the directory itself. Where it may
/// not enter that directory, it ends in "/". Errors: denied.
[[nodiscard]] Status join_namespaces(const Namespaces& namespaces);

/// Gives up every capability of this process and of the programs it becomes. Errors: denied.
[[nodiscard]] Status drop_all_capabilities();

}  // namespace squenv::system
