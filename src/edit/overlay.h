// SPDX-License-Identifier: MIT
// A writable layer over a mounted image, by the overlay file system of the kernel.
#pragma once

#include <string>

#include "base/result.h"
#include "image/inode.h"

namespace squenv::edit {

/// The directories that an overlay writes to, on one file system. Marks in `upper` are those of the
/// mount option userxattr.
struct Layers {
    std::string upper{};
    std::string work{};
};

/// Makes both, empty. `upper` is shown as the root of the tree, so that it gets mode, time and,
/// from root, the owner of `root`. Errors: denied, limit, io.
[[nodiscard]] Status make_layers(const Layers& layers, const image::Inode& root);

/// Whether a session shows and changes owners as the image has them: for root, to whom all users
/// are mapped. To every other user all files are the own: they could not be copied up otherwise.
[[nodiscard]] bool shows_owners();

/// Whether the file system of `directory` can carry an upper layer of this user on this machine.
/// Found out by trying, in namespaces of a process that ends: a file is written, and a directory is
/// removed and made again. Leaves nothing in `directory`. Before any thread exists.
/// Errors: environment, denied, limit and others, with what was refused.
[[nodiscard]] Status try_overlay(const std::string& directory);

/// Covers the mount at `mountpoint`, which becomes the lower layer, with an overlay. The calling
/// process may mount, and moves to a mount namespace of its own first: others may use the one it
/// is in. Errors: environment, denied and others of mount(2).
[[nodiscard]] Status mount_overlay(const std::string& mountpoint, const Layers& layers);

}  // namespace squenv::edit
