// SPDX-License-Identifier: MIT
// A user namespace and the mount namespace that belongs to it: there, an ordinary user may mount.
// Only the own uid and gid are mapped, so nothing in it looks like root.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

/// Open descriptors of a pair. They keep the namespaces, and the mounts in them, alive.
struct Namespaces {
    UniqueFd user{};
    UniqueFd mount{};
    explicit operator bool() const { return mount.get() >= 0; }
};

/// Whether mounts that are made and removed outside later are so inside too. The other way round
/// they never are. What is used inside and unmounted outside is busy with `from_outside`.
enum class Propagation { from_outside, none };

/// Moves the calling process, which has one thread, into new namespaces.
/// Errors: environment, with the reason why this machine refuses and what would mend it.
[[nodiscard]] Status enter_new_namespaces(Propagation propagation);

/// Those of the calling process. Errors: io.
[[nodiscard]] Result<Namespaces> own_namespaces();

/// Moves the calling process, which has one thread, into `namespaces` and back to the path of its
/// working directory. Errors: denied, environment (the working directory does not exist there).
[[nodiscard]] Status join_namespaces(const Namespaces& namespaces);

/// Gives up every capability for this process and the programs it becomes. Errors: denied.
[[nodiscard]] Status drop_all_capabilities();

}  // namespace squenv::mount
