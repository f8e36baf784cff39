// SPDX-License-Identifier: MIT
// The mounts of this mount namespace, read from /proc/self/mountinfo. No mount point is touched, so
// a dead or hanging mount cannot block the caller.
#pragma once

#include <array>
#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace squenv::system {

/// The source of an overlay that this program puts above a mount of its own, and of the empty layer
/// below both. The mount stands for the overlay, too.
inline constexpr const char* kOverlaySource = "squenv-overlay";

/// The types of mounts of this program, without the prefix "fuse.". They identify such mounts.
inline constexpr std::array kSubtypes{"squenv", "squashfuse", "squashfuse_ll"};

struct MountEntry {
    std::uint32_t mount_id = 0;  ///< one number of the whole machine, while it is mounted
    std::string mountpoint;
    std::string type;                      ///< "fuse.squenv"
    std::string source;                    ///< for a mount of this program the path of the image
    std::optional<std::uint32_t> user_id;  ///< FUSE: the uid that mounted it
    std::optional<std::uint32_t> group_id;
    std::uint32_t device_minor = 0;  ///< the number of the FUSE connection in /sys/fs/fuse
    bool is_read_only = false;
    /// Of the overlay that shows it (mount/overlay.h); 0 when it shows itself.
    std::uint32_t overlay_minor = 0;

    /// Served by this program, under its own name or as a squashfuse replacement.
    [[nodiscard]] bool is_squenv() const;
    /// True when the mount is of `user` or of root, which every user has to trust. Any other user
    /// can serve a mount that claims to be of this program, names any image and answers anything.
    [[nodiscard]] bool is_trusted_by(std::uint32_t user) const;
};

/// In mount order: of several mounts at one path the last is the visible one. An overlay of this
/// program has no entry of its own.
[[nodiscard]] Result<std::vector<MountEntry>> read_mount_table();
/// The visible mount at exactly `path` (absolute, without symlinks), if there is one.
[[nodiscard]] Result<std::optional<MountEntry>> find_mount(const std::string& path);
/// Whether something is mounted at exactly `path`, as far as can be found out.
[[nodiscard]] bool is_mountpoint(const std::string& path);

/// The device_minor of the visible mount at `path`; 0 when there is none.
[[nodiscard]] std::uint32_t minor_at(const std::string& path);

/// Whether the visible mount at `path` is a FUSE mount. A look at such a path may wait for a daemon
/// that does not answer.
[[nodiscard]] bool has_fuse_mount(const std::string& path);

/// The mount_id of the mount that `descriptor` leads into. Nothing is asked of its file system.
[[nodiscard]] std::optional<std::uint32_t> mount_id_of(int descriptor);

/// The present path of the mount of FUSE connection `device_minor`; nothing when it is gone.
[[nodiscard]] std::optional<std::string> mountpoint_of_device(std::uint32_t device_minor);

/// The same for the lines of a table. Those without the documented form are passed over.
[[nodiscard]] std::vector<MountEntry> parse_mount_table(std::istream& lines);

/// Parses one line; nothing when it does not have the documented form.
[[nodiscard]] std::optional<MountEntry> parse_mountinfo_line(const std::string& line);

/// `path` made absolute, with the symlinks of its parents resolved as far as they exist and may be
/// looked at. The last part is not touched: a stale FUSE mount there makes every system call on it
/// fail.
[[nodiscard]] Result<std::string> canonical_mountpoint(const std::string& path);

}  // namespace squenv::system
