// SPDX-License-Identifier: MIT
#include "fuse/file_system.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "format/posix.h"

namespace squenv::fuse {

using format::InodeType;

namespace {

bool is_reserved(const format::Reference& reference) {
    return reference.raw() == kRootNode || reference.raw() == kFirstInodeNode;
}

}  // namespace

namespace {

/// Whether users who are neither the owner nor in the group can do less than the owner may.
bool is_kept_from_others(mode_t mode) {
    if (S_ISDIR(mode)) return (mode & 05) != 05;
    if (!S_ISREG(mode)) return false;
    const bool is_program = (mode & 0111) != 0;
    return (mode & 04) == 0 || (is_program && (mode & 01) == 0);
}

}  // namespace

Result<FileSystem> FileSystem::create(const image::Image& image, const ViewOptions& view) {
    auto root = image.resolve(view.subdirectory);
    if (!root) return with_context(root.error(), "subdir");
    if (!root->is_directory())
        return fail(Errc::invalid_argument,
                    fmt::format("subdir {}: not a directory", view.subdirectory));
    return FileSystem(image, *root, view);
}

NodeId FileSystem::node_id(const format::Reference& reference) const {
    if (reference == root_.reference) return kRootNode;
    return reference.raw() == 0 ? kFirstInodeNode : reference.raw();
}

format::Reference FileSystem::reference(NodeId node) const {
    if (node == kRootNode) return root_.reference;
    return format::Reference::from_raw(node == kFirstInodeNode ? 0 : node);
}

Result<image::Inode> FileSystem::inode(NodeId node) const {
    return node == kRootNode ? root_ : image_->inode(reference(node));
}

struct stat FileSystem::to_stat(const image::Inode& inode) const {
    struct stat st {};
    st.st_ino = inode.number;
    st.st_mode = format::type_bits(inode.type) |
                 (view_.umask ? 0777U & ~*view_.umask : std::uint32_t{inode.mode});
    st.st_nlink = inode.nlink;
    st.st_uid = view_.uid.value_or(inode.uid);
    st.st_gid = view_.gid.value_or(inode.gid);
    if (view_.reader && st.st_uid != *view_.reader && is_kept_from_others(st.st_mode))
        st.st_uid = *view_.reader;
    if (view_.root_owner && inode.reference == root_.reference) {
        st.st_uid = *view_.root_owner;
        st.st_mode = (st.st_mode & ~static_cast<mode_t>(S_IRWXG | S_IRWXO)) | S_IRUSR | S_IXUSR;
    }
    st.st_mtim.tv_sec = inode.mtime;
    st.st_atim = st.st_ctim = st.st_mtim;
    st.st_blksize = image_->superblock().block_size;
    switch (inode.type) {
        case InodeType::file: {
            const std::uint64_t sparse = std::min(inode.sparse_bytes, inode.size_bytes);
            st.st_size = static_cast<off_t>(inode.size_bytes);
            st.st_blocks = static_cast<blkcnt_t>(ceil_div(inode.size_bytes - sparse, 512));
            break;
        }
        case InodeType::directory:
            st.st_size = static_cast<off_t>(inode.size_bytes + format::kDirectorySizeBias);
            break;
        case InodeType::symlink: st.st_size = static_cast<off_t>(inode.size_bytes); break;
        default: st.st_rdev = format::decode_device(inode.device); break;
    }
    return st;
}

Result<std::optional<Node>> FileSystem::lookup(NodeId directory, std::string_view name) const {
    SQUENV_TRY_ASSIGN(const auto parent, inode(directory));
    if (!parent.is_directory()) return fail_errno(ENOTDIR, fmt::format("inode {}", parent.number));
    SQUENV_TRY_ASSIGN(const auto child, image_->lookup(parent, name));
    if (!child) return std::nullopt;
    if (is_reserved(child->reference))
        return fail(Errc::corrupt, "an inode that overlaps the first one");
    return Node{node_id(child->reference), to_stat(*child)};
}

Result<struct stat> FileSystem::attributes(NodeId node) const {
    SQUENV_TRY_ASSIGN(const auto found, inode(node));
    return to_stat(found);
}

Result<std::string> FileSystem::read_link(NodeId node) const {
    SQUENV_TRY_ASSIGN(const auto found, inode(node));
    return image_->read_link(found);
}

Result<image::Inode> FileSystem::file(NodeId node) const {
    SQUENV_TRY_ASSIGN(auto found, inode(node));
    if (!found.is_file()) return fail_errno(EINVAL, fmt::format("inode {}", found.number));
    return found;
}

Result<std::optional<std::uint64_t>> FileSystem::seek(NodeId node, std::uint64_t offset,
                                                      image::FileData::Seek what) const {
    SQUENV_TRY_ASSIGN(const auto found, file(node));
    return image_->data().seek(found, offset, what);
}

Status FileSystem::list(NodeId directory, std::uint64_t offset,
                        const std::function<bool(const Entry&)>& visit) const {
    SQUENV_TRY_ASSIGN(const auto parent, inode(directory));
    if (!parent.is_directory()) return fail_errno(ENOTDIR, fmt::format("inode {}", parent.number));
    // Offsets: 1 is after ".", 2 after "..", n + 3 after entry n.
    const bool is_top = directory == kRootNode;
    const Entry dots[] = {
        {".", 1, parent.number, S_IFDIR, parent.reference, true},
        {"..", 2, is_top ? parent.number : parent.parent_number, S_IFDIR, parent.reference, true}};
    for (std::uint64_t dot = offset; dot < 2; ++dot)
        if (!visit(dots[dot])) return {};
    return image_->directories().visit(
        parent, offset < 2 ? 0 : offset - 2,
        [&](std::uint64_t index, const image::DirectoryItem& item) {
            return visit({item.name, index + 3, item.inode_number, format::type_bits(item.type),
                          item.inode, false});
        });
}

Result<Node> FileSystem::node(const Entry& entry) const {
    SQUENV_TRY_ASSIGN(const auto found, image_->inode(entry.inode));
    if (format::type_bits(found.type) != entry.type || is_reserved(entry.inode))
        return fail(Errc::corrupt, fmt::format("inode {} does not fit its entry", found.number));
    return Node{node_id(found.reference), to_stat(found)};
}

Result<std::vector<std::string>> FileSystem::xattr_names(NodeId node) const {
    SQUENV_TRY_ASSIGN(const auto found, inode(node));
    return image_->xattrs().names(found);
}

Result<std::optional<ByteVector>> FileSystem::xattr(NodeId node, const std::string& name) const {
    SQUENV_TRY_ASSIGN(const auto found, inode(node));
    return image_->xattrs().value(found, name);
}

struct statvfs FileSystem::statistics() const {
    const auto& sb = image_->superblock();
    struct statvfs st {};
    st.f_bsize = sb.block_size;
    st.f_frsize = sb.block_size;
    st.f_blocks = ceil_div(sb.bytes_used, sb.block_size);
    st.f_files = sb.inode_count;
    st.f_namemax = format::kMaxName;
    return st;
}

}  // namespace squenv::fuse
