// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::extract {

/// Whether this process is root, and root is an account of its own. In a user namespace that an
/// ordinary user made for himself (unshare -r, rootless podman, apptainer --fakeroot), root is
/// another name of that user: a setuid file of "root" would give away his account.
[[nodiscard]] bool has_root_account();

}  // namespace squenv::extract
