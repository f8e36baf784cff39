// SPDX-License-Identifier: MIT
// The stored blocks of an image for the image that is made of most of it.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "appendix/appendix.h"
#include "image/image.h"
#include "pack/stored_blocks.h"

namespace squenv::repack {

/// The nodes that ImageBlocks answers for have this Node::source_device.
inline constexpr std::uint32_t kImageDevice = 0;

/// A fragment block is taken over when all files in it are kept; else those that are left are
/// packed anew. The image outlives this.
class ImageBlocks final : public pack::StoredBlocks {
  public:
    explicit ImageBlocks(const image::Image& image) : image_(image) {}

    /// One name of a file of the image, which is kept or not. Before settle().
    void see(const image::Inode& inode, bool is_kept);
    /// After the last name. What is packed anew is compared with its digest, because it gets a new
    /// one. Errors: corrupt, io.
    [[nodiscard]] Status settle();

    Result<std::optional<pack::StoredFile>> file(const pack::Node& node) const override;
    Status read(std::uint64_t position, MutableBytes out) const override;
    std::optional<Sha256> digest(std::uint64_t position, std::uint32_t size_bytes) const override;

  private:
    /// The places in a fragment block, as offsets of files.
    struct Fragment {
        std::unordered_set<std::uint32_t> all;
        std::unordered_set<std::uint32_t> kept;
        std::vector<format::Reference> files;  ///< those that are kept
    };
    [[nodiscard]] Status check(const image::Inode& inode);

    const image::Image& image_;
    std::unordered_map<std::uint32_t, Fragment> fragments_;  ///< by index
    std::unordered_set<std::uint32_t> broken_;               ///< some files in it are gone
    std::unordered_set<std::uint64_t> checked_;              ///< positions of blocks
    std::vector<appendix::BlockDigest> digests_;             ///< by position
};

}  // namespace squenv::repack
