// SPDX-License-Identifier: MIT
#include "pack/inode_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/checked.h"

namespace squenv::pack {

namespace {

using format::InodeRecord;
using format::InodeType;

constexpr std::uint64_t kNotWritten = ~std::uint64_t{0};

/// Writes inodes and listings, directory by directory from the leaves up.
class Builder {
  public:
    Builder(const Tree& tree, const Contents& contents, const Options& options, XattrTable& xattrs,
            InodeTables& out)
        : tree_(tree), contents_(contents), options_(options), xattrs_(xattrs), out_(out) {}

    /// Inodes of everything in `directory`, then its listing.
    Status write_directory(EntryId directory);
    Status write_inode(EntryId id);

  private:
    Result<InodeRecord> common(const Node& node);
    void fill_file(const Node& node, InodeRecord& inode, std::vector<std::uint32_t>& words) const;
    void fill_directory(EntryId id, InodeRecord& inode, const Listing& listing) const;

    const Tree& tree_;
    const Contents& contents_;
    const Options& options_;
    XattrTable& xattrs_;
    InodeTables& out_;
    std::unordered_map<EntryId, Listing> listings_;  ///< of directories without an inode so far
};

Result<InodeRecord> Builder::common(const Node& node) {
    InodeRecord inode;
    inode.type = node.type;
    inode.mode = node.mode;
    inode.number = node.inode_number;
    inode.nlink = node.link_count;
    const bool is_fixed = options_.owner.kind == Ownership::Kind::fixed;
    SQUENV_TRY_ASSIGN(inode.uid_index, out_.ids.index_of(is_fixed ? options_.owner.uid : node.uid));
    SQUENV_TRY_ASSIGN(inode.gid_index, out_.ids.index_of(is_fixed ? options_.owner.gid : node.gid));
    bool is_clamped = false;
    inode.mtime = mtime_of(node, options_, is_clamped);
    out_.clamped_mtimes += is_clamped ? 1 : 0;
    out_.newest_mtime = std::max(out_.newest_mtime, inode.mtime);
    if (node.xattrs != kNoXattrs) {
        SQUENV_TRY_ASSIGN(inode.xattr_index, xattrs_.id_of(node.xattrs));
        inode.is_extended = true;
    }
    return inode;
}

void Builder::fill_file(const Node& node, InodeRecord& inode,
                        std::vector<std::uint32_t>& words) const {
    const Content& content = contents_.stored(node.content);
    inode.size_bytes = content.size_bytes;
    inode.blocks_start = content.start;
    inode.fragment_index = content.fragment;
    inode.fragment_offset = content.fragment_offset;
    const std::uint32_t block_size = options_.block_size;
    const std::uint64_t count = inode.block_count(block_size);
    words.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        words.push_back(contents_.words[content.first_word + i]);
        if (words.back() == 0)
            inode.sparse_bytes +=
                std::min<std::uint64_t>(block_size, content.size_bytes - i * block_size);
    }
    // Derived from the content alone: a copy of the tree may have other holes. A file that is one
    // hole keeps a byte, because tools take files without blocks for empty.
    if (inode.sparse_bytes == inode.size_bytes && inode.sparse_bytes > 0) --inode.sparse_bytes;
    constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
    inode.is_extended = inode.is_extended || inode.nlink > 1 || inode.size_bytes > kMax32 ||
                        inode.blocks_start > kMax32 || inode.sparse_bytes > 0;
}

void Builder::fill_directory(EntryId id, InodeRecord& inode, const Listing& listing) const {
    const Node& node = tree_.at(id);
    inode.size_bytes = listing.size_bytes;
    inode.listing_block = static_cast<std::uint32_t>(listing.start.block);
    inode.listing_offset = listing.start.offset;
    inode.index_count = static_cast<std::uint16_t>(listing.index.size());
    const std::uint32_t root_number = tree_.at(kRootEntry).inode_number;
    inode.parent_number = id == kRootEntry ? root_number + 1 : tree_.at(node.parent).inode_number;
    constexpr std::uint64_t kMaxBasicListing =
        std::numeric_limits<std::uint16_t>::max() - format::kDirectorySizeBias;
    inode.is_extended =
        inode.is_extended || !listing.index.empty() || inode.size_bytes > kMaxBasicListing;
}

Status Builder::write_inode(EntryId id) {
    const Node& node = tree_.at(id);
    std::uint64_t& reference = out_.references[node.inode_number - 1];
    if (reference != kNotWritten) return {};
    SQUENV_TRY_ASSIGN(InodeRecord inode, common(node));
    std::vector<std::uint32_t> words;
    std::string target;
    Listing listing;
    switch (node.type) {
        case InodeType::file: fill_file(node, inode, words); break;
        case InodeType::directory: {
            const auto found = listings_.extract(id);
            listing = std::move(found.mapped());
            fill_directory(id, inode, listing);
            break;
        }
        case InodeType::symlink:
            target.assign(node.target, node.size_bytes);
            inode.size_bytes = node.size_bytes;
            break;
        default: inode.device = node.device; break;
    }
    reference = out_.inodes.reference().raw();
    return out_.inodes.append(format::encode_inode(inode, words, target, listing.index));
}

Status Builder::write_directory(EntryId id) {
    const Node& directory = tree_.at(id);
    std::vector<ListingEntry> entries;
    entries.reserve(directory.child_count);
    for (std::uint32_t i = 0; i < directory.child_count; ++i) {
        const EntryId child = directory.first_child + i;
        if (!tree_.is_packed(child)) continue;
        const EntryId inode = tree_.inode_of(child);
        SQUENV_TRY(write_inode(inode));
        const std::uint32_t number = tree_.at(inode).inode_number;
        entries.push_back({tree_.at(child).name_view(),
                           format::Reference::from_raw(out_.references[number - 1]), number,
                           tree_.at(inode).type});
    }
    auto listing = write_listing(out_.directories, entries);
    if (!listing) return with_context(listing.error(), tree_.path_of(id));
    listings_.emplace(id, std::move(*listing));
    return {};
}

}  // namespace

Result<std::uint16_t> IdTable::index_of(std::uint32_t id) {
    const auto known = index_.find(id);
    if (known != index_.end()) return known->second;
    if (ids_.size() == format::kMaxIds)
        return fail(Errc::limit, "more than 65535 different users and groups",
                    "give all files one owner with --owner");
    const auto index = static_cast<std::uint16_t>(ids_.size());
    ids_.push_back(id);
    index_.emplace(id, index);
    return index;
}

std::uint32_t number_inodes(Tree& tree) {
    std::uint32_t count = 0;
    for_each_directory_in_table_order(tree, [&](EntryId id) {
        const EntryId first = tree.at(id).first_child;
        const std::uint32_t children = tree.at(id).child_count;
        std::uint32_t subdirectories = 0;
        for (std::uint32_t i = 0; i < children; ++i) {
            if (!tree.is_packed(first + i)) continue;
            Node& inode = tree.at(tree.inode_of(first + i));
            if (inode.inode_number == 0) inode.inode_number = ++count;
            if (inode.type == InodeType::directory)
                ++subdirectories;
            else
                ++inode.link_count;
        }
        tree.at(id).link_count = 2 + subdirectories;
    });
    tree.at(kRootEntry).inode_number = ++count;
    return count;
}

std::uint32_t mtime_of(const Node& node, const Options& options, bool& is_clamped) {
    if (options.mtime) return *options.mtime;
    constexpr std::int64_t kLatest = std::numeric_limits<std::uint32_t>::max();
    const std::int64_t latest =
        options.newest_mtime ? std::int64_t{*options.newest_mtime} : kLatest;
    const std::int64_t mtime = std::clamp<std::int64_t>(node.mtime_seconds, 0, latest);
    is_clamped = mtime != node.mtime_seconds;
    return static_cast<std::uint32_t>(mtime);
}

Status build_inode_tables(const Tree& tree, const Contents& contents, const Options& options,
                          std::uint32_t inode_count, XattrTable& xattrs, InodeTables& out) {
    out.references.assign(inode_count, kNotWritten);
    Builder builder(tree, contents, options, xattrs, out);
    Status status;
    for_each_directory_in_table_order(tree, [&](EntryId id) {
        if (status) status = builder.write_directory(id);
    });
    SQUENV_TRY(status);
    SQUENV_TRY(builder.write_inode(kRootEntry));
    SQUENV_TRY(out.inodes.finish());
    return out.directories.finish();
}

}  // namespace squenv::pack
