// SPDX-License-Identifier: MIT
// Writing a tree of an image to disk, on all processors, without ever leaving the target.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error_list.h"
#include "image/image.h"

namespace squenv::extract {

struct ExtractOptions {
    unsigned threads = 0;    ///< 0: by the number of processors
    bool overwrite = false;  ///< into a directory that has content; files there are replaced
    bool xattrs = true;
    bool owners = true;         ///< as far as they can be set, which takes root
    bool is_read_only = false;  ///< without permission to write, whatever the modes of the image
    /// Ends the extraction once it is set; may be null.
    const std::atomic<bool>* cancel = nullptr;
};

/// What was written, and what was not.
struct ExtractReport {
    std::uint64_t objects = 0;         ///< names created
    std::uint64_t bytes = 0;           ///< of file content, holes included
    std::uint64_t skipped_xattrs = 0;  ///< the user may not set them or the target cannot hold them
    std::uint64_t left_owners = 0;     ///< objects that belong to us: theirs could not be set
    std::uint64_t lost_privileges = 0;  ///< objects that lost setuid or setgid
    bool is_full = false;               ///< the target had no room; the rest was not tried
    bool is_read_only = false;          ///< nor was it where nothing can be written
    bool is_cancelled = false;          ///< nor was it then
    std::uint64_t error_count = 0;      ///< objects that are missing or incomplete, of those tried
    std::vector<ObjectError> errors{};  ///< the first of them
};

/// Writes `start` (a directory) to `target`, which is created or must be empty. Content, modes,
/// times, links, holes and xattrs are restored; owners and devices when we are root.
/// Setuid, setgid and file capabilities need both root (see privilege.h) and the owner of the
/// image: they would give away the account that unpacks. Directories lose setgid too,
/// as with tar and unsquashfs.
/// Names cannot escape: every object is made relative to the open descriptor of a directory that
/// was itself made or checked here, and no symlink is ever followed, `target` included.
/// When it ends early, files that are not whole are removed again.
/// Errors: exists (target not empty, or a symlink), denied, limit (no space, for the target
/// itself; no memory, for anything).
[[nodiscard]] Result<ExtractReport> extract_tree(const image::Image& image,
                                                 const image::Inode& start,
                                                 const std::string& target,
                                                 const ExtractOptions& options);

}  // namespace squenv::extract
