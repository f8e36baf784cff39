// SPDX-License-Identifier: MIT
#include "repack/image_blocks.h"

#include <algorithm>
#include <utility>

#include "base/sha256.h"

namespace squenv::repack {

void ImageBlocks::see(const image::Inode& inode, bool is_kept) {
    if (!inode.has_fragment()) return;
    Fragment& fragment = fragments_[inode.fragment_index];
    fragment.all.insert(inode.fragment_offset);
    if (!is_kept) return;
    fragment.kept.insert(inode.fragment_offset);
    fragment.files.push_back(inode.reference);
}

Status ImageBlocks::check(const image::Inode& inode) {
    Status status;
    ByteVector bytes;
    const auto compare = [&](const image::BlockPlace& place) {
        const std::uint32_t size = place.stored.size_bytes;
        if (!status || !checked_.insert(place.position).second) return;
        const auto expected = digest(place.position, size);
        if (!expected) return;
        bytes.resize(size);
        status = read(place.position, bytes);
        if (status && sha256_of(bytes) != *expected)
            status = fail(Errc::corrupt, "a block that has to be packed anew is damaged",
                          "'squenv verify' names the files");
    };
    SQUENV_TRY(image_.data().visit_places(inode, compare));
    return status;
}

Status ImageBlocks::settle() {
    SQUENV_TRY_ASSIGN(auto appendix, image_.appendix());
    if (appendix) digests_ = std::move(appendix->digests);
    for (const auto& [index, fragment] : fragments_) {
        if (fragment.all.size() == fragment.kept.size()) continue;
        broken_.insert(index);
        for (const auto& reference : fragment.files) {
            SQUENV_TRY_ASSIGN(const auto inode, image_.inode(reference));
            SQUENV_TRY(check(inode));
        }
    }
    fragments_.clear();
    return {};
}

Result<std::optional<pack::StoredFile>> ImageBlocks::file(const pack::Node& node) const {
    if (node.source_device != kImageDevice) return std::optional<pack::StoredFile>();
    SQUENV_TRY_ASSIGN(const auto inode,
                      image_.inode(format::Reference::from_raw(node.source_inode)));
    if (inode.has_fragment() && broken_.contains(inode.fragment_index))
        return std::optional<pack::StoredFile>();
    pack::StoredFile file;
    const std::uint32_t block_size = image_.superblock().block_size;
    const std::uint64_t tail = inode.block_count(block_size) * block_size;
    file.words.resize(inode.block_count(block_size));
    if (inode.has_fragment()) {
        file.fragment = inode.fragment_index;
        file.fragment_offset = inode.fragment_offset;
    }
    SQUENV_TRY(
        image_.data().visit_stored(inode, 0, inode.size_bytes, [&](const image::StoredPart& part) {
            if (inode.has_fragment() && part.file_offset >= tail) {
                file.fragment_block = {part.place.position, part.place.stored};
                return;
            }
            if (file.start == 0) file.start = part.place.position;
            file.words[part.file_offset / block_size] =
                format::encode_block_word(part.place.stored);
        }));
    return std::optional<pack::StoredFile>(std::move(file));
}

Status ImageBlocks::read(std::uint64_t position, MutableBytes out) const {
    return image_.source().read_exact(position, out);
}

std::optional<Sha256> ImageBlocks::digest(std::uint64_t position, std::uint32_t size_bytes) const {
    const auto found = std::lower_bound(
        digests_.begin(), digests_.end(), position,
        [](const appendix::BlockDigest& one, std::uint64_t at) { return one.position < at; });
    if (found == digests_.end() || found->position != position || found->size_bytes != size_bytes)
        return std::nullopt;
    return found->digest;
}

}  // namespace squenv::repack
