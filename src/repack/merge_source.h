// SPDX-License-Identifier: MIT
// An image and the changes that an overlay file system made to it, as the source of the next image.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "image/image.h"
#include "pack/source.h"
#include "pack/tree_builder.h"
#include "repack/image_blocks.h"
#include "repack/image_nodes.h"

namespace squenv::repack {

/// What an upper layer says of the tree below it.
struct Changes {
    std::uint64_t written = 0;  ///< names that are new, or whose object differs
    std::uint64_t removed = 0;  ///< names of the image that are gone

    [[nodiscard]] bool is_empty() const { return written == 0 && removed == 0; }
};

/// Whose files the upper layer has.
enum class UpperOwners {
    as_they_are,
    /// The overlay showed everything as the user's own. Files keep the owner they have in the
    /// image; new ones get that of their directory.
    invented,
};

/// The tree that the overlay showed. `upper` is the directory of an upper layer that was mounted
/// with the option userxattr, and is in use no more: a character device 0/0 removes a name, and a
/// directory with user.overlay.opaque=y hides what the image has in it. What was copied up and is
/// as it was counts as unchanged. Options must outlive the source.
class MergeSource final : public pack::Source {
  public:
    MergeSource(std::unique_ptr<image::Image> image, std::string upper, UpperOwners owners,
                const pack::Options& options);

    /// Compares both; before scan(), and once. Errors: as scan().
    [[nodiscard]] Result<Changes> compare();
    /// Calls compare() unless that was done.
    Result<pack::Scanned> scan() override;
    std::unique_ptr<pack::FileReader> open_reader(const pack::Tree& tree) const override;
    /// Those of the image, when the options have its codec and block size.
    const pack::StoredBlocks* stored_blocks() const override;

  private:
    struct Owner {
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
    };

    Status scan_upper();
    /// One object of the image. Its children follow.
    Status visit(const std::string& path, const image::Inode& inode);
    /// Adds it as it is in the image.
    Status take(const std::string& path, const image::Inode& inode);
    Status meet(const std::string& path, const image::Inode& inode, pack::EntryId id);
    void hide_below(const std::string& path);
    Result<bool> is_same_object(const image::Inode& inode, pack::EntryId id);
    Result<bool> has_same_bytes(const image::Inode& inode, pack::EntryId id);
    Result<bool> is_same_directory(const std::string& path, const image::Inode& inode,
                                   pack::EntryId id);
    /// The attributes of an upper object without those of the overlay.
    [[nodiscard]] pack::XattrSet xattrs_of(pack::EntryId id) const;
    [[nodiscard]] bool is_opaque(pack::EntryId id) const;
    [[nodiscard]] bool has_owner(pack::EntryId id, const image::Inode& inode) const;
    Status add_upper();
    Status add_upper(pack::EntryId id, const Owner& owner);

    const std::unique_ptr<image::Image> image_;
    const std::string upper_path_;
    const UpperOwners owners_;
    const pack::Options& options_;
    const ImageNodes nodes_;
    ImageBlocks blocks_;
    std::unique_ptr<pack::Source> upper_source_;
    pack::Scanned upper_;
    std::unique_ptr<pack::FileReader> upper_reader_;            ///< of upper_.tree
    std::unordered_map<std::string, pack::EntryId> upper_ids_;  ///< by path; "" is the root
    std::unordered_set<pack::EntryId> unchanged_;               ///< taken from the image
    std::unordered_map<pack::EntryId, Owner> old_owners_;       ///< of what the image has there
    std::optional<pack::XattrSet> root_xattrs_;
    std::string hidden_;  ///< a directory of the image that is gone, with a slash at its end
    pack::TreeBuilder builder_;
    pack::XattrSets xattrs_;
    Changes changes_;
    std::optional<pack::Scanned> merged_;
};

}  // namespace squenv::repack
