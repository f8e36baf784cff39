// SPDX-License-Identifier: MIT
// Whether the path that an image records becomes its mount point when the user names none. The path
// comes from the image, and the author of an image must not choose what it hides from the programs
// of its users. Such things are their keys, their settings, and the programs of the system. A path
// that the user names is the user's decision, see check_place().
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::run {

/// What is at a path now.
enum class Occupancy {
    missing,      ///< or not visible: mounting reports why
    empty,        ///< a directory without entries
    environment,  ///< a directory of a Python or conda environment
    mounted,      ///< an image: a mount, alive or dead, or the link of a run to an unpacked tree
    other,
};

/// A recorded destination and everything that the decision needs.
struct RecordedDestination {
    std::string path{};                ///< absolute, as recorded in the image
    std::string canonical{};           ///< where that leads
    std::vector<std::string> homes{};  ///< of this user, as written and where they lead
    Occupancy occupancy = Occupancy::missing;
};

/// The rules, described in words in squenv-run(1). Reads no file. Errors: invalid_argument.
///
/// 1. The path is a plain name: without control characters, colons (PATH is split at them), empty
///    parts, "." and "..".
/// 2. It is no directory of the system: not "/", and none in which users create their own
///    ("/home", "/opt", "/tmp", ...). It is nothing in a directory whose content programs use by
///    name ("/etc", "/usr/bin", ...).
/// 3. It is not the home directory, nor one above it.
/// 4. It is not where keys or settings are kept (".ssh", ".config", ".local/bin", ...).
/// 5. It hides nothing but an environment: the place is empty or missing, or has an environment or
///    a mount.
/// 6. Programs use what they find in a hidden directory without a question, and a list of such
///    names is never complete. So where nothing is yet, a hidden directory must be one that is kept
///    for environments (".venv", ".cache/x", ".conda/envs/x", ...).
///
/// 2 to 4 and 6 hold for the path as it is written and for where it leads.
[[nodiscard]] Status check_recorded_destination(const RecordedDestination& place);

/// The same for this machine. `path` is the recorded path, or one below it, and `root` is the
/// recorded path: what lies in an environment belongs to that environment. Does not touch what is
/// mounted at `path`. Touches nothing at all before rules 1 to 4 hold for the path as it is
/// written.
/// Errors: invalid_argument; those of canonical_mountpoint().
[[nodiscard]] Status check_recorded_destination(const std::string& path, const std::string& root);

/// Whether a mount at `path`, which the user names, hides a directory with something else than an
/// environment. Errors count as no.
[[nodiscard]] bool hides_content(const std::string& path);

}  // namespace squenv::run
