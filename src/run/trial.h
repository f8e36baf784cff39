// SPDX-License-Identifier: MIT
// What a method needs to have an image at a path, tried for real there and undone at once. `run`
// learns early what it would otherwise find out too late; `doctor` tries all of it.
#pragma once

#include <string>

#include "base/result.h"
#include "daemon/request.h"

namespace squenv::run {

/// Whether the mount at `place`, if it is of this program, answers: a look at one that does not
/// answer blocks. Errors: busy.
[[nodiscard]] Status check_answers(const std::string& place);

/// Whether the mount at `place` has lost its daemon. Only after check_answers() succeeded.
[[nodiscard]] bool has_dead_mount(const std::string& place);

/// The place of unpacked trees.
struct CacheState {
    std::string directory{};
    bool has_locks = true;  ///< the cache does without where files cannot be locked
};
/// Whether trees can be unpacked. Leaves no file. Errors: those of cache_directory() and
/// cache_size_limit(); denied and others of making a file there.
[[nodiscard]] Result<CacheState> check_cache();

/// Whether an unpacked tree can be shown at `place`: as a link, or in a namespace. Errors: those of
/// cache_directory() and of make_userns_mounts().
[[nodiscard]] Status check_tree_place(const std::string& place);
/// Why no link can be at `place`. Errors: exists, denied.
[[nodiscard]] Status check_link(const std::string& place);

/// Mounts at `place` by direct or fusermount as for `request`, but without a daemon, and unmounts.
/// Uses a directory of its own where the mount would cover one that is not empty. Returns what the
/// user should know, or "". Errors: whatever prevents such a mount.
[[nodiscard]] Result<std::string> try_in_place(const daemon::Request& request,
                                               const std::string& place, mount::Method method);

/// The same in namespaces of its own. Errors: those of make_userns_mounts().
[[nodiscard]] Status try_in_namespace(const daemon::Request& request, const std::string& place);

/// Mounts by direct, fusermount or userns on a new directory below TMPDIR.
[[nodiscard]] Status try_on_scratch(mount::Method method);

}  // namespace squenv::run
