// SPDX-License-Identifier: MIT
#include "repack/image_nodes.h"

#include <algorithm>
#include <cstring>

namespace squenv::repack {

Result<pack::XattrSet> ImageNodes::xattrs_of(const image::Inode& inode,
                                             pack::XattrSets& xattrs) const {
    pack::XattrSet set;
    if (!image_.xattrs().has_any()) return set;
    SQUENV_TRY(image_.xattrs().visit(inode, [&](const std::string& name, const ByteVector& value) {
        pack::add_xattr(set, xattrs, name, std::string(as_text(value)));
        return true;
    }));
    std::sort(set.begin(), set.end());
    return set;
}

Status ImageNodes::add(pack::TreeBuilder& builder, pack::XattrSets& xattrs, const std::string& path,
                       const image::Inode& inode) const {
    SQUENV_TRY_ASSIGN(pack::Node * node, builder.at(path));
    node->type = inode.type;
    node->mode = inode.mode;
    node->uid = inode.uid;
    node->gid = inode.gid;
    node->mtime_seconds = inode.mtime;
    node->source_inode = inode.reference.raw();
    node->device = inode.device;
    node->is_hard_linked = inode.nlink > 1 && !inode.is_directory();
    if (inode.is_file()) node->size_bytes = inode.size_bytes;
    node->has_holes = inode.sparse_bytes > 0;
    if (inode.is_symlink()) {
        SQUENV_TRY_ASSIGN(const std::string target, image_.read_link(inode));
        node->target = builder.text().store(target);
        node->size_bytes = target.size();
    }
    SQUENV_TRY_ASSIGN(auto set, xattrs_of(inode, xattrs));
    if (!set.empty()) node->xattrs = xattrs.intern(std::move(set));
    return {};
}

Status read_file(const image::Image& image, const image::Inode& file, std::uint64_t offset,
                 MutableBytes out) {
    SQUENV_TRY_ASSIGN(const auto slices, image.data().read(file, offset, out.size()));
    for (const image::DataSlice& slice : slices) {
        if (slice.bytes.size() > out.size()) return fail(Errc::corrupt, "longer than it says");
        if (!slice.bytes.empty()) std::memcpy(out.data(), slice.bytes.data(), slice.bytes.size());
        out = out.subspan(slice.bytes.size());
    }
    if (!out.empty()) return fail(Errc::corrupt, "shorter than it says");
    return {};
}

Status ImageReader::read(pack::EntryId id, std::uint64_t offset, MutableBytes out) {
    SQUENV_TRY(select(id));
    return read_file(image_, inode_, offset, out);
}

Result<std::uint64_t> ImageReader::next_data(pack::EntryId id, std::uint64_t offset) {
    SQUENV_TRY(select(id));
    SQUENV_TRY_ASSIGN(const auto data,
                      image_.data().seek(inode_, offset, image::FileData::Seek::data));
    return data.value_or(inode_.size_bytes);
}

Status ImageReader::select(pack::EntryId id) {
    if (id == node_) return {};
    const auto reference = format::Reference::from_raw(tree_.at(id).source_inode);
    SQUENV_TRY_ASSIGN(inode_, image_.inode(reference));
    node_ = id;
    return {};
}

}  // namespace squenv::repack
