// SPDX-License-Identifier: MIT
// The file system on our own types: what each request means, without FUSE in it.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace squenv::fuse {

/// The kernel's name for an inode. It is the squashfs inode reference, so that there is no table
/// to keep, nothing to forget, and a restarted daemon knows every node of the one before. Two
/// references are renamed: the root is 1, as FUSE demands, and reference 0 is 2, because 0 means
/// "none". No inode begins at references 1 and 2: the first one has at least 20 bytes.
using NodeId = std::uint64_t;
inline constexpr NodeId kRootNode = 1;
inline constexpr NodeId kFirstInodeNode = 2;

/// How the tree is shown.
struct ViewOptions {
    std::string subdirectory{};          ///< path inside the image that becomes the root
    std::optional<std::uint32_t> uid{};  ///< shown as the owner of everything
    std::optional<std::uint32_t> gid{};
    /// Everything gets the permissions 0777 without these bits, as FUSE's option umask has it.
    std::optional<std::uint32_t> umask{};
    /// The one user who is let in. The kernel checks the modes, so that access(2) answers as on a
    /// directory; but an image that this user may read hides nothing: what the modes of another
    /// owner would keep from the user is shown as the user's own.
    std::optional<std::uint32_t> reader{};
    /// The root directory is shown with no permissions for others and this owner: the kernel asks
    /// for what it has cached no more, and lets others in to it.
    std::optional<std::uint32_t> root_owner{};
};

/// An object as the kernel wants to hear of it.
struct Node {
    NodeId id = 0;
    struct stat attributes {};
};

/// Thread-safe and immutable: every request is answered from the image.
class FileSystem {
  public:
    /// Errors: not_found and invalid_argument for the subdirectory.
    [[nodiscard]] static Result<FileSystem> create(const image::Image& image,
                                                   const ViewOptions& view);

    [[nodiscard]] Result<std::optional<Node>> lookup(NodeId directory, std::string_view name) const;
    [[nodiscard]] Result<struct stat> attributes(NodeId node) const;
    [[nodiscard]] Result<std::string> read_link(NodeId node) const;
    /// The inode of a regular file. Errors: corrupt, io; sys_errno is EINVAL for other objects.
    [[nodiscard]] Result<image::Inode> file(NodeId node) const;
    /// lseek(2) with SEEK_DATA or SEEK_HOLE; nothing is ENXIO.
    [[nodiscard]] Result<std::optional<std::uint64_t>> seek(NodeId node, std::uint64_t offset,
                                                            image::FileData::Seek what) const;

    /// One line of a listing.
    struct Entry {
        std::string_view name;
        std::uint64_t next_offset = 0;  ///< where the listing goes on after this entry
        std::uint64_t inode_number = 0;
        mode_t type = 0;  ///< S_IFMT bits
        format::Reference inode{};
        bool is_dot = false;  ///< "." or "..", which the kernel does not look up
    };
    /// Entries from `offset` (0, or a next_offset) on, until `visit` returns false.
    [[nodiscard]] Status list(NodeId directory, std::uint64_t offset,
                              const std::function<bool(const Entry&)>& visit) const;
    /// The node of an entry. Errors: corrupt, io.
    [[nodiscard]] Result<Node> node(const Entry& entry) const;

    [[nodiscard]] bool has_xattrs() const { return image_->xattrs().has_any(); }
    [[nodiscard]] Result<std::vector<std::string>> xattr_names(NodeId node) const;
    [[nodiscard]] Result<std::optional<ByteVector>> xattr(NodeId node,
                                                          const std::string& name) const;
    [[nodiscard]] struct statvfs statistics() const;
    [[nodiscard]] const image::Image& image() const { return *image_; }
    /// The node id of the inode at `reference`, and the reverse, which may be of no inode.
    [[nodiscard]] NodeId node_id(const format::Reference& reference) const;
    [[nodiscard]] format::Reference reference(NodeId node) const;

  private:
    FileSystem(const image::Image& image, const image::Inode& root, const ViewOptions& view)
        : image_(&image), root_(root), view_(view) {}

    [[nodiscard]] Result<image::Inode> inode(NodeId node) const;
    [[nodiscard]] struct stat to_stat(const image::Inode& inode) const;

    const image::Image* image_;
    image::Inode root_;
    ViewOptions view_;
};

}  // namespace squenv::fuse
