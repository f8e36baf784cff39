// SPDX-License-Identifier: MIT
// A use of one object of a tree: what recordings consist of, and what a packer puts first.
#pragma once

#include <cstdint>
#include <string>

namespace squenv {

/// One use of an object. Paths are relative to the root of the tree, "." is the root itself.
struct Touch {
    enum class Use {
        look,  ///< its attributes are asked for
        list,  ///< a directory is listed
        link,  ///< the target of a symlink is read
        read,  ///< a range of a file's content is read
        miss,  ///< a name that does not exist is looked for
    };
    Use use = Use::look;
    std::string path;
    std::uint64_t offset = 0;      ///< `read` only, in bytes
    std::uint64_t size_bytes = 0;  ///< `read` only; may reach beyond the end of the file
    bool operator==(const Touch&) const = default;
};

}  // namespace squenv
