// SPDX-License-Identifier: MIT
// A user namespace and the mount namespace that belongs to it: there, an ordinary user may mount.
// Only the own uid and gid are mapped, so nothing in it looks like root. Who may mount anyway needs
// a mount namespace alone.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::system {

/// Open descriptors of a pair. They keep the namespaces, and the mounts in them, alive.
struct Namespaces {
    UniqueFd user{};  ///< the one of the caller where no other was needed
    UniqueFd mount{};
    UniqueFd root{};  ///< the directory to be "/" there; empty unless a chroot is to be kept
    explicit operator bool() const { return mount.get() >= 0; }
};

/// Whether mounts that are made and removed outside later are so inside too. The other way round
/// they never are. What is used inside and unmounted outside is busy with `from_outside`.
enum class Propagation { from_outside, none };

/// Moves the calling process, which has one thread, into new namespaces.
/// Errors: environment, with the reason why this machine refuses and what would mend it.
[[nodiscard]] Status enter_new_namespaces(Propagation propagation);

/// Whether mounts of its own take this process no user namespace: it holds CAP_SYS_ADMIN to mount,
/// and CAP_SYS_CHROOT, which joining a mount namespace asks for too.
[[nodiscard]] bool needs_no_user_namespace();

/// Moves such a process, which has one thread, into a new mount namespace. Mounts made outside
/// later are so inside too, not the other way round. Returns its root directory when that is not
/// the one of the namespace, as in a chroot: who joins must go back there. Errors: environment,
/// denied.
[[nodiscard]] Result<UniqueFd> enter_mount_namespace();

/// Whether this process could join a namespace: one with several threads may not.
/// Errors: environment.
[[nodiscard]] Status check_single_thread();

/// Whether users are mapped one to one: capabilities count fully outside of user namespaces only.
[[nodiscard]] bool is_initial_user_namespace();

/// Those of the calling process. Errors: io.
[[nodiscard]] Result<Namespaces> own_namespaces();

/// Whether the user namespace of `namespaces` is another one than that of this process.
[[nodiscard]] bool has_other_user(const Namespaces& namespaces);

/// Moves the calling process, which has one thread, into `namespaces` and back to the path of its
/// working directory. Where that path leads nowhere it stays in the directory itself, and where it
/// may not enter that, it is in "/". Errors: denied.
[[nodiscard]] Status join_namespaces(const Namespaces& namespaces);

/// Gives up every capability for this process and the programs it becomes. Errors: denied.
[[nodiscard]] Status drop_all_capabilities();

}  // namespace squenv::system
