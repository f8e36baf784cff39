// SPDX-License-Identifier: MIT
// The objects of an image as nodes of a tree to be packed, and their contents.
#pragma once

#include <string>

#include "image/image.h"
#include "pack/source.h"
#include "pack/tree_builder.h"

namespace squenv::repack {

/// Makes a node for each object of `image`, which outlives it. Not thread-safe.
class ImageNodes {
  public:
    explicit ImageNodes(const image::Image& image) : image_(image) {}

    /// Adds `inode` at `path`. Its attributes go to `xattrs`. Nodes have the raw reference of their
    /// inode as Node::source_inode. Errors: corrupt, io, and those of TreeBuilder::at().
    [[nodiscard]] Status add(pack::TreeBuilder& builder, pack::XattrSets& xattrs,
                             const std::string& path, const image::Inode& inode) const;
    /// The attributes of `inode`, sorted. Those that do not fit are counted in `xattrs`.
    /// Errors: corrupt, io.
    [[nodiscard]] Result<pack::XattrSet> xattrs_of(const image::Inode& inode,
                                                   pack::XattrSets& xattrs) const;

  private:
    const image::Image& image_;
};

/// Reads the files that such nodes stand for.
class ImageReader final : public pack::FileReader {
  public:
    ImageReader(const image::Image& image, const pack::Tree& tree) : image_(image), tree_(tree) {}

    Status read(pack::EntryId id, std::uint64_t offset, MutableBytes out) override;
    Result<std::uint64_t> next_data(pack::EntryId id, std::uint64_t offset) override;

  private:
    /// Files of an image are told apart by their reference.
    Status select(pack::EntryId id);

    const image::Image& image_;
    const pack::Tree& tree_;
    pack::EntryId node_ = pack::kNoEntry;
    image::Inode inode_;
};

/// Fills `out` from `offset` of `file` on. Errors: corrupt, io.
[[nodiscard]] Status read_file(const image::Image& image, const image::Inode& file,
                               std::uint64_t offset, MutableBytes out);

}  // namespace squenv::repack
