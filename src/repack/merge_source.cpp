// SPDX-License-Identifier: MIT
#include "repack/merge_source.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "image/walk.h"
#include "pack/pack.h"

namespace squenv::repack {

namespace {

using format::InodeType;
using pack::EntryId;
using pack::Node;

/// As format::xattr_prefix() numbers "user.".
constexpr std::uint16_t kUserPrefix = 0;
constexpr std::string_view kOverlayPrefix = "overlay.";
constexpr std::string_view kOpaque = "overlay.opaque";

/// Index into Tree::devices of the first device of the upper layer.
constexpr std::uint32_t kUpperDevice = kImageDevice + 1;

constexpr std::size_t kComparedPiece = 1U << 20;

bool is_whiteout(const Node& node) {
    return node.type == InodeType::char_device && node.device == 0;
}

/// Files of both layers, each read from where it is.
class MergeReader final : public pack::FileReader {
  public:
    MergeReader(const image::Image& image, std::unique_ptr<pack::FileReader> upper,
                const pack::Tree& tree)
        : tree_(tree), image_(image, tree), upper_(std::move(upper)) {}

    Status read(EntryId id, std::uint64_t offset, MutableBytes out) override {
        return reader_of(id).read(id, offset, out);
    }
    Result<std::uint64_t> next_data(EntryId id, std::uint64_t offset) override {
        return reader_of(id).next_data(id, offset);
    }

  private:
    pack::FileReader& reader_of(EntryId id) {
        if (tree_.at(id).source_device == kImageDevice) return image_;
        return *upper_;
    }

    const pack::Tree& tree_;
    ImageReader image_;
    std::unique_ptr<pack::FileReader> upper_;
};

}  // namespace

MergeSource::MergeSource(std::unique_ptr<image::Image> image, std::string upper, UpperOwners owners,
                         const pack::Options& options)
    : image_(std::move(image)),
      upper_path_(std::move(upper)),
      owners_(owners),
      options_(options),
      nodes_(*image_),
      blocks_(*image_) {
}

const pack::StoredBlocks* MergeSource::stored_blocks() const {
    const format::Superblock& head = image_->superblock();
    // An image without compression names gzip.
    const std::string_view codec =
        options_.codec == pack::Codec::none ? "gzip" : pack::codec_name(options_.codec);
    const bool is_alike =
        options_.block_size == head.block_size && codec == format::compressor_name(head.compressor);
    return is_alike ? &blocks_ : nullptr;
}

pack::XattrSet MergeSource::xattrs_of(EntryId id) const {
    const std::uint32_t index = upper_.tree.at(id).xattrs;
    if (index == pack::kNoXattrs) return {};
    pack::XattrSet set = upper_.xattrs.at(index);
    std::erase_if(set, [](const pack::XattrPair& pair) {
        return pair.prefix_id == kUserPrefix && pair.name.starts_with(kOverlayPrefix);
    });
    return set;
}

bool MergeSource::is_opaque(EntryId id) const {
    const std::uint32_t index = upper_.tree.at(id).xattrs;
    if (index == pack::kNoXattrs) return false;
    const pack::XattrSet& set = upper_.xattrs.at(index);
    return std::any_of(set.begin(), set.end(), [](const pack::XattrPair& pair) {
        return pair.prefix_id == kUserPrefix && pair.name == kOpaque && pair.value == "y";
    });
}

bool MergeSource::has_owner(EntryId id, const image::Inode& inode) const {
    const Node& node = upper_.tree.at(id);
    return owners_ == UpperOwners::invented || (node.uid == inode.uid && node.gid == inode.gid);
}

Status MergeSource::scan_upper() {
    SQUENV_TRY_ASSIGN(upper_source_, pack::open_directory(upper_path_, {}, options_));
    SQUENV_TRY_ASSIGN(upper_, upper_source_->scan());
    upper_reader_ = upper_source_->open_reader(upper_.tree);
    upper_ids_.emplace("", pack::kRootEntry);
    for (EntryId id = pack::kRootEntry + 1; id < upper_.tree.nodes.size(); ++id)
        if (!upper_.tree.at(id).is_left_out) upper_ids_.emplace(upper_.tree.path_of(id), id);
    return {};
}

void MergeSource::hide_below(const std::string& path) {
    hidden_ = path + '/';
}

Result<bool> MergeSource::has_same_bytes(const image::Inode& inode, EntryId id) {
    ByteVector ours(kComparedPiece);
    ByteVector theirs(kComparedPiece);
    for (std::uint64_t offset = 0; offset < inode.size_bytes; offset += kComparedPiece) {
        if (pack::is_cancelled(options_)) return pack::cancelled();
        const auto size = static_cast<std::size_t>(
            std::min<std::uint64_t>(kComparedPiece, inode.size_bytes - offset));
        // What cannot be read is no longer what it was; packing it says why.
        if (!upper_reader_->read(id, offset, MutableBytes(ours.data(), size))) return false;
        if (!read_file(*image_, inode, offset, MutableBytes(theirs.data(), size))) return false;
        if (std::memcmp(ours.data(), theirs.data(), size) != 0) return false;
    }
    return true;
}

Result<bool> MergeSource::is_same_object(const image::Inode& inode, EntryId id) {
    const Node& node = upper_.tree.at(id);
    if (node.type != inode.type || node.mode != inode.mode || !has_owner(id, inode)) return false;
    if (node.is_hard_linked || inode.nlink > 1) return false;
    // The image has whole seconds, and copying up sets them.
    if (node.mtime_seconds != inode.mtime || node.mtime_nanoseconds != 0) return false;
    SQUENV_TRY_ASSIGN(const auto old, nodes_.xattrs_of(inode, xattrs_));
    if (old != xattrs_of(id)) return false;
    if (inode.is_symlink()) {
        SQUENV_TRY_ASSIGN(const std::string target, image_->read_link(inode));
        return std::string_view(node.target, node.size_bytes) == target;
    }
    if (!inode.is_file()) return node.device == inode.device;
    return node.size_bytes == inode.size_bytes ? has_same_bytes(inode, id) : Result<bool>(false);
}

/// Its time does not count: a file that is made and removed again leaves nothing else.
Result<bool> MergeSource::is_same_directory(const std::string& path, const image::Inode& inode,
                                            EntryId id) {
    if (upper_.tree.at(id).mode != inode.mode) return false;
    // The root of the upper layer was made for it, and what the image has is carried over.
    SQUENV_TRY_ASSIGN(auto old, nodes_.xattrs_of(inode, xattrs_));
    if (path.empty()) {
        root_xattrs_ = std::move(old);
        return true;
    }
    return has_owner(id, inode) && old == xattrs_of(id);
}

/// An object of the image at whose path the upper layer has something.
Status MergeSource::meet(const std::string& path, const image::Inode& inode, EntryId id) {
    const Node& node = upper_.tree.at(id);
    old_owners_[id] = {inode.uid, inode.gid};
    if (is_whiteout(node)) {
        ++changes_.removed;
        if (inode.is_directory()) hide_below(path);
        return {};
    }
    const bool is_directory = node.type == InodeType::directory;
    if (is_directory && inode.is_directory()) {
        if (is_opaque(id)) hide_below(path);
        SQUENV_TRY_ASSIGN(const bool is_same, is_same_directory(path, inode, id));
        if (!is_same) ++changes_.written;
        return {};
    }
    if (inode.is_directory()) hide_below(path);
    SQUENV_TRY_ASSIGN(const bool is_same, is_same_object(inode, id));
    if (!is_same) {
        ++changes_.written;
        return {};
    }
    unchanged_.insert(id);
    return take(path, inode);
}

Status MergeSource::take(const std::string& path, const image::Inode& inode) {
    if (inode.is_file()) blocks_.see(inode, true);
    return nodes_.add(builder_, xattrs_, path, inode);
}

Status MergeSource::visit(const std::string& path, const image::Inode& inode) {
    if (pack::is_cancelled(options_)) return pack::cancelled();
    if (inode.is_file()) blocks_.see(inode, false);
    const auto found = upper_ids_.find(path);
    if (!hidden_.empty() && path.starts_with(hidden_)) {
        // What is there now is new, however much it resembles what was there.
        if (found == upper_ids_.end()) ++changes_.removed;
        return {};
    }
    if (found != upper_ids_.end()) return meet(path, inode, found->second);
    return take(path, inode);
}

Status MergeSource::add_upper(EntryId id, const Owner& owner) {
    const Node& over = upper_.tree.at(id);
    const bool is_root = id == pack::kRootEntry;
    const std::string path = is_root ? std::string() : upper_.tree.path_of(id);
    SQUENV_TRY_ASSIGN(Node * node, builder_.at(path));
    const Node fresh;
    *node = over;
    node->name = fresh.name;
    node->name_size = fresh.name_size;
    node->parent = fresh.parent;
    node->first_child = fresh.first_child;
    node->child_count = fresh.child_count;
    node->source_device = over.source_device + kUpperDevice;
    node->uid = owner.uid;
    node->gid = owner.gid;
    if (over.target != nullptr)
        node->target = builder_.text().store(std::string_view(over.target, over.size_bytes));
    pack::XattrSet set = is_root && root_xattrs_ ? *root_xattrs_ : xattrs_of(id);
    node->xattrs = set.empty() ? pack::kNoXattrs : xattrs_.intern(std::move(set));
    return {};
}

/// Parents come before their children in the tree of a scan.
Status MergeSource::add_upper() {
    std::vector<Owner> owners(upper_.tree.nodes.size());
    for (EntryId id = 0; id < upper_.tree.nodes.size(); ++id) {
        const Node& node = upper_.tree.at(id);
        const auto old = old_owners_.find(id);
        if (owners_ == UpperOwners::as_they_are)
            owners[id] = {node.uid, node.gid};
        else if (old != old_owners_.end())
            owners[id] = old->second;
        else if (node.parent != pack::kNoEntry)
            owners[id] = owners[node.parent];
        if (node.is_left_out || is_whiteout(node) || unchanged_.contains(id)) continue;
        if (old == old_owners_.end()) ++changes_.written;
        SQUENV_TRY(add_upper(id, owners[id]));
    }
    return {};
}

Result<Changes> MergeSource::compare() {
    SQUENV_TRY(scan_upper());
    Status status;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        status = visit(path, inode);
        return status.has_value();
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        status = with_context(error, path.empty() ? "/" : path);
        return false;
    };
    image::walk(*image_, image_->root(), visitor);
    SQUENV_TRY(status);
    SQUENV_TRY(blocks_.settle());
    SQUENV_TRY(add_upper());
    merged_.emplace();
    merged_->tree = builder_.build();
    merged_->tree.devices.insert(merged_->tree.devices.end(), upper_.tree.devices.begin(),
                                 upper_.tree.devices.end());
    merged_->xattrs = std::move(xattrs_);
    merged_->problems = upper_.problems;
    return changes_;
}

Result<pack::Scanned> MergeSource::scan() {
    if (!merged_) SQUENV_TRY(compare());
    return std::move(*merged_);
}

std::unique_ptr<pack::FileReader> MergeSource::open_reader(const pack::Tree& tree) const {
    return std::make_unique<MergeReader>(*image_, upper_source_->open_reader(tree), tree);
}

}  // namespace squenv::repack
