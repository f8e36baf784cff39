// SPDX-License-Identifier: MIT
#include "support/image_builder.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/checked.h"
#include "base/little_endian.h"
#include "codec/codec.h"
#include "format/directory.h"
#include "format/metadata_header.h"
#include "format/tables.h"

namespace squenv::test {

using format::InodeType;

namespace {

struct FieldSpec {
    const char* name;
    std::size_t offset;
    std::size_t size;
};

constexpr FieldSpec kSuperblockFields[] = {
    {"magic", 0, 4},
    {"inode_count", 4, 4},
    {"mkfs_time", 8, 4},
    {"block_size", 12, 4},
    {"fragment_count", 16, 4},
    {"compressor", 20, 2},
    {"block_log", 22, 2},
    {"flags", 24, 2},
    {"id_count", 26, 2},
    {"version_major", 28, 2},
    {"version_minor", 30, 2},
    {"root_inode", 32, 8},
    {"bytes_used", 40, 8},
    {"id_table_start", 48, 8},
    {"xattr_table_start", 56, 8},
    {"inode_table_start", 64, 8},
    {"directory_table_start", 72, 8},
    {"fragment_table_start", 80, 8},
    {"export_table_start", 88, 8},
};

std::vector<FieldSpec> inode_fields(const format::InodeRecord& inode) {
    std::vector<FieldSpec> fields{{"type", 0, 2}, {"mode", 2, 2},  {"uid", 4, 2},
                                  {"gid", 6, 2},  {"mtime", 8, 4}, {"number", 12, 4}};
    const auto add = [&](std::initializer_list<FieldSpec> more) {
        fields.insert(fields.end(), more);
    };
    const bool is_extended = inode.is_extended;
    switch (inode.type) {
        case InodeType::directory:
            if (is_extended)
                add({{"nlink", 16, 4},
                     {"size", 20, 4},
                     {"listing_block", 24, 4},
                     {"parent", 28, 4},
                     {"index_count", 32, 2},
                     {"listing_offset", 34, 2},
                     {"xattr", 36, 4}});
            else
                add({{"listing_block", 16, 4},
                     {"nlink", 20, 4},
                     {"size", 24, 2},
                     {"listing_offset", 26, 2},
                     {"parent", 28, 4}});
            break;
        case InodeType::file:
            if (is_extended)
                add({{"start", 16, 8},
                     {"size", 24, 8},
                     {"sparse", 32, 8},
                     {"nlink", 40, 4},
                     {"fragment", 44, 4},
                     {"offset", 48, 4},
                     {"xattr", 52, 4}});
            else
                add({{"start", 16, 4}, {"fragment", 20, 4}, {"offset", 24, 4}, {"size", 28, 4}});
            break;
        case InodeType::symlink: add({{"nlink", 16, 4}, {"size", 20, 4}}); break;
        case InodeType::block_device:
        case InodeType::char_device:
            add({{"nlink", 16, 4}, {"device", 20, 4}});
            if (is_extended) add({{"xattr", 24, 4}});
            break;
        case InodeType::fifo:
        case InodeType::socket:
            add({{"nlink", 16, 4}});
            if (is_extended) add({{"xattr", 20, 4}});
            break;
    }
    return fields;
}

std::string numbered(const std::string& name, std::size_t number) {
    return name + '#' + std::to_string(number);
}

}  // namespace

const BuiltImage::Place& BuiltImage::place(const std::string& field) const {
    const auto found = places_.find(field);
    if (found == places_.end()) throw std::logic_error("the image has no field " + field);
    return found->second;
}

std::uint64_t BuiltImage::get(const std::string& field) const {
    std::uint64_t value = 0;
    const Place& where = place(field);
    for (std::size_t i = where.size(); i-- > 0;)
        value = value << 8 | static_cast<std::uint64_t>(bytes[where[i]]);
    return value;
}

void BuiltImage::set(const std::string& field, std::uint64_t value) {
    for (const std::size_t position : place(field)) {
        bytes[position] = static_cast<std::byte>(value & 0xFF);
        value >>= 8;
    }
}

void BuiltImage::set_text(const std::string& field, const std::string& text) {
    const Place& where = place(field);
    if (text.size() > where.size()) throw std::logic_error("no room in field " + field);
    for (std::size_t i = 0; i < text.size(); ++i) bytes[where[i]] = static_cast<std::byte>(text[i]);
}

std::vector<std::string> BuiltImage::fields() const {
    std::vector<std::string> names;
    for (const auto& [name, where] : places_) names.push_back(name);
    return names;
}

/// One run of a build.
class Layout {
  public:
    explicit Layout(ImageBuilder& builder) : builder_(builder), options_(builder.options_) {}

    BuiltImage build() {
        if (options_.compress_data || options_.compress_metadata)
            compressor_ = codec::make_compressor(options_.compressor,
                                                 codec::level_range(options_.compressor).preset,
                                                 options_.block_size)
                              .value();
        number_nodes();
        sb_.compressor = options_.compressor;
        sb_.block_size = options_.block_size;
        while (1U << sb_.block_log != options_.block_size) ++sb_.block_log;
        sb_.inode_count = static_cast<std::uint32_t>(order_.size());
        out_.bytes.resize(format::kSuperblockSize);
        write_options();
        write_data();
        place_inodes();
        write_listings();
        write_inodes();
        write_tables();
        finish();
        describe();
        return std::move(out_);
    }

  private:
    ByteVector& bytes() { return out_.bytes; }
    void gap(std::uint64_t size) { bytes().resize(bytes().size() + size, std::byte{0xEE}); }

    void number_nodes() {
        std::vector<TestNode*> pending{builder_.root_};
        while (!pending.empty()) {
            TestNode* node = pending.back();
            pending.pop_back();
            if (node->is_placed) continue;
            node->is_placed = true;
            node->record = {};
            node->words.clear();
            node->nlink = node->type == InodeType::directory ? 2 : 0;
            order_.push_back(node);
            node->record.number = static_cast<std::uint32_t>(order_.size());
            if (node->is_sorted)
                std::stable_sort(node->children.begin(), node->children.end(),
                                 [](const auto& a, const auto& b) { return a.first < b.first; });
            for (auto child = node->children.rbegin(); child != node->children.rend(); ++child)
                pending.push_back(child->second);
        }
        for (TestNode* node : order_) {
            node->is_placed = false;
            for (auto& [name, child] : node->children) {
                if (child->type != InodeType::directory) ++child->nlink;
                if (child->type == InodeType::directory) ++node->nlink;
                child->record.parent_number = node->record.number;
            }
        }
        builder_.root_->record.parent_number = 0;
    }

    void write_options() {
        if (options_.compressor != format::CompressorId::lz4) return;
        append(bytes(),
               ByteView(metadata_block(format::encode_compressor_options(options_.compressor, 0))));
        sb_.flags = format::kFlagCompressorOptions;
    }

    /// Writes one data block and returns its size word.
    std::uint32_t write_block(ByteView content) {
        ByteVector packed(content.size());
        std::size_t size = 0;
        if (options_.compress_data) size = compressor_->compress(content, packed).value();
        if (size != 0 && size < content.size()) {
            append(bytes(), ByteView(packed).first(size));
            return format::encode_block_word({static_cast<std::uint32_t>(size), true});
        }
        append(bytes(), content);
        return format::encode_block_word({static_cast<std::uint32_t>(content.size()), false});
    }

    void flush_fragment() {
        if (fragment_.empty()) return;
        const std::uint64_t start = bytes().size();
        const auto stored =
            format::parse_block_word(write_block(fragment_), options_.block_size).value();
        fragments_.push_back({start, stored});
        fragment_.clear();
    }

    void write_data() {
        for (TestNode* node : order_) {
            if (node->type != InodeType::file) continue;
            auto& record = node->record;
            const ByteView content = as_bytes(node->content);
            const std::size_t tail = content.size() % options_.block_size;
            const bool has_fragment = options_.fragments && tail != 0;
            const std::size_t end = content.size() - (has_fragment ? tail : 0);
            record.size_bytes = content.size();
            record.blocks_start = end == 0 ? 0 : bytes().size();
            for (std::size_t start = 0; start < end; start += options_.block_size) {
                const ByteView block =
                    content.subspan(start, std::min<std::size_t>(options_.block_size, end - start));
                const bool is_hole = std::all_of(block.begin(), block.end(),
                                                 [](std::byte b) { return b == std::byte{0}; });
                if (is_hole) record.sparse_bytes += block.size();
                node->words.push_back(is_hole ? 0 : write_block(block));
            }
            if (!has_fragment) continue;
            if (fragment_.size() + tail > options_.block_size) flush_fragment();
            record.fragment_index = static_cast<std::uint32_t>(fragments_.size());
            record.fragment_offset = static_cast<std::uint32_t>(fragment_.size());
            append(fragment_, content.last(tail));
        }
        flush_fragment();
        gap(options_.gap);
    }

    std::uint16_t id_index(std::uint32_t id) {
        const auto found = std::find(ids_.begin(), ids_.end(), id);
        const auto index = found - ids_.begin();
        if (found == ids_.end()) ids_.push_back(id);
        return static_cast<std::uint16_t>(index);
    }

    void place_inodes() {
        ids_ = options_.ids;
        std::size_t offset = 0;
        for (TestNode* node : order_) {
            auto& record = node->record;
            record.type = node->type;
            record.mode = node->mode;
            record.uid_index = id_index(node->uid);
            record.gid_index = id_index(node->gid);
            record.mtime = node->mtime;
            record.nlink = node->nlink;
            record.device = node->device;
            if (!node->xattrs.empty()) record.xattr_index = add_xattrs(*node);
            std::size_t listing = 0;
            for (auto& [name, child] : node->children) listing += name.size() + 9;
            record.is_extended = node->is_extended || !node->xattrs.empty() || listing > 50000 ||
                                 record.sparse_bytes != 0 ||
                                 (node->type == InodeType::file && node->nlink > 1);
            node->inode_offset = offset;
            offset += format::encode_inode(record, node->words, node->target, {}).size();
        }
    }

    std::uint32_t add_xattrs(TestNode& node) {
        std::vector<format::Reference> elsewhere;
        if (node.has_values_elsewhere) {
            for (const auto& [name, value] : node.xattrs) {
                elsewhere.push_back(chained(pairs_.size()));
                append(pairs_, Le32(static_cast<std::uint32_t>(value.size())));
                append(pairs_, as_bytes(value));
            }
        }
        format::XattrSetRecord set;
        set.pairs = chained(pairs_.size());
        set.pair_count = static_cast<std::uint32_t>(node.xattrs.size());
        for (std::size_t i = 0; i < node.xattrs.size(); ++i) {
            const auto& [name, value] = node.xattrs[i];
            std::uint16_t prefix = 0;
            std::string rest = name;
            for (std::uint16_t id = 0; id < 3; ++id) {
                const auto text = format::xattr_prefix(id).value();
                if (!name.starts_with(text)) continue;
                prefix = id;
                rest = name.substr(text.size());
            }
            const std::string field = numbered("xattr:" + node.path, i);
            const std::size_t at = pairs_.size();
            format::encode_xattr_key(pairs_, {prefix, node.has_values_elsewhere,
                                              static_cast<std::uint16_t>(rest.size())});
            append(pairs_, as_bytes(rest));
            const std::size_t value_at = pairs_.size();
            if (node.has_values_elsewhere) {
                append(pairs_, Le32(8));
                append(pairs_, Le64(elsewhere[i].raw()));
            } else {
                append(pairs_, Le32(static_cast<std::uint32_t>(value.size())));
                append(pairs_, as_bytes(value));
            }
            pair_fields_.push_back({field + ".type", at, 2});
            pair_fields_.push_back({field + ".name_size", at + 2, 2});
            pair_fields_.push_back({field + ".name", at + 4, rest.size()});
            pair_fields_.push_back({field + ".value_size", value_at, 4});
            pair_fields_.push_back({field + ".value", value_at + 4, pairs_.size() - value_at - 4});
            set.size_bytes += static_cast<std::uint32_t>(name.size() + value.size() + 1);
        }
        sets_.push_back(set);
        return static_cast<std::uint32_t>(sets_.size() - 1);
    }

    /// The reference of byte `offset` of a chain of uncompressed metadata blocks.
    static format::Reference chained(std::size_t offset) {
        return {offset / format::kMetadataSize * (format::kMetadataSize + 2),
                static_cast<std::uint16_t>(offset % format::kMetadataSize)};
    }

    void write_listings() {
        for (TestNode* node : order_) {
            if (node->type != InodeType::directory) continue;
            const std::size_t start = listings_.size();
            const auto& children = node->children;
            std::size_t run = 0;
            for (std::size_t i = 0; i < children.size(); ++run) {
                const auto first = chained(children[i].second->inode_offset);
                const std::uint32_t base = children[i].second->record.number;
                std::size_t end = i;
                const auto belongs = [&](const TestNode& child) {
                    const auto delta = std::int64_t{child.record.number} - base;
                    return chained(child.inode_offset).block == first.block && delta >= -32768 &&
                           delta <= 32767;
                };
                while (end < children.size() && end - i < 256 && belongs(*children[end].second))
                    ++end;
                name_run(*node, run, listings_.size());
                format::encode_directory_header(listings_,
                                                {static_cast<std::uint32_t>(end - i),
                                                 static_cast<std::uint32_t>(first.block), base});
                for (; i < end; ++i)
                    write_entry(*node, children[i].first, *children[i].second, base);
            }
            auto& record = node->record;
            const auto reference = chained(start);
            record.listing_block = static_cast<std::uint32_t>(reference.block);
            record.listing_offset = reference.offset;
            record.size_bytes = listings_.size() - start;
        }
    }

    void name_run(const TestNode& directory, std::size_t run, std::size_t at) {
        if (directory.path.empty() && &directory != builder_.root_) return;
        const std::string field = numbered("run:" + directory.path, run);
        listing_fields_.push_back({field + ".count", at, 4});
        listing_fields_.push_back({field + ".inode_block", at + 4, 4});
        listing_fields_.push_back({field + ".inode_number", at + 8, 4});
    }

    void write_entry(const TestNode& directory, const std::string& name, const TestNode& child,
                     std::uint32_t base) {
        const std::size_t at = listings_.size();
        format::encode_directory_entry(
            listings_,
            {chained(child.inode_offset).offset,
             static_cast<std::int16_t>(std::int64_t{child.record.number} - base), child.type, 0},
            name);
        if (child.path.empty() && &child != builder_.root_) return;
        const std::string field =
            "entry:" + (directory.path.empty() ? name : directory.path + '/' + name);
        listing_fields_.push_back({field + ".offset", at, 2});
        listing_fields_.push_back({field + ".delta", at + 2, 2});
        listing_fields_.push_back({field + ".type", at + 4, 2});
        listing_fields_.push_back({field + ".name_size", at + 6, 2});
        listing_fields_.push_back({field + ".name", at + 8, name.size()});
    }

    /// Writes a chain of metadata blocks; returns the positions of their headers.
    std::vector<std::uint64_t> write_chain(const std::string& table, ByteView stream) {
        std::vector<std::uint64_t> positions;
        while (!stream.empty()) {
            const ByteView part = stream.first(std::min(stream.size(), format::kMetadataSize));
            stream = stream.subspan(part.size());
            positions.push_back(bytes().size());
            out_.places_[numbered("metadata:" + table, positions.size() - 1)] = {
                bytes().size(), bytes().size() + 1};
            ByteVector packed(part.size());
            std::size_t size = 0;
            if (options_.compress_metadata) {
                if (!stream.empty()) throw std::logic_error("too much metadata to compress");
                size = compressor_->compress(part, packed).value();
            }
            if (size != 0 && size < part.size())
                append(bytes(), ByteView(metadata_block(ByteView(packed).first(size), true)));
            else
                append(bytes(), ByteView(metadata_block(part)));
        }
        return positions;
    }

    std::uint64_t write_list(const std::string& table,
                             const std::vector<std::uint64_t>& positions) {
        const std::uint64_t start = bytes().size();
        for (std::size_t i = 0; i < positions.size(); ++i) {
            name_plain(numbered("list:" + table, i), bytes().size(), 8);
            append(bytes(), Le64(positions[i]));
        }
        return start;
    }

    void name_plain(const std::string& field, std::uint64_t at, std::size_t size) {
        BuiltImage::Place place;
        for (std::size_t i = 0; i < size; ++i) place.push_back(at + i);
        out_.places_[field] = std::move(place);
    }
    /// A field at `offset` of the chain of metadata blocks that begins at `start`.
    void name_chained(const std::string& field, std::uint64_t start, std::size_t offset,
                      std::size_t size) {
        if (options_.compress_metadata) return;
        BuiltImage::Place place;
        for (std::size_t i = 0; i < size; ++i) {
            const auto reference = chained(offset + i);
            place.push_back(start + reference.block + 2 + reference.offset);
        }
        out_.places_[field] = std::move(place);
    }

    void write_inodes() {
        sb_.inode_table_start = bytes().size();
        ByteVector stream;
        for (TestNode* node : order_) {
            append(stream,
                   ByteView(format::encode_inode(node->record, node->words, node->target, {})));
            if (node->path.empty() && node != builder_.root_) continue;
            const std::size_t fixed =
                format::inode_fixed_size(ByteView(stream).subspan(node->inode_offset)).value();
            for (const auto& field : inode_fields(node->record))
                name_chained("inode:" + node->path + '.' + field.name, sb_.inode_table_start,
                             node->inode_offset + field.offset, field.size);
            for (std::size_t i = 0; i < node->words.size(); ++i)
                name_chained(numbered("word:" + node->path, i), sb_.inode_table_start,
                             node->inode_offset + fixed + 4 * i, 4);
            if (node->type == InodeType::symlink) {
                name_chained("target:" + node->path, sb_.inode_table_start,
                             node->inode_offset + fixed, node->target.size());
                if (node->record.is_extended)
                    name_chained("inode:" + node->path + ".xattr", sb_.inode_table_start,
                                 node->inode_offset + fixed + node->target.size(), 4);
            }
        }
        sb_.root_inode = chained(builder_.root_->inode_offset);
        write_chain("inodes", stream);
        append(bytes(), ByteView(options_.after_inodes));
        gap(options_.gap);
        sb_.directory_table_start = bytes().size();
        write_chain("directories", listings_);
        for (const auto& field : listing_fields_)
            name_chained(field.name, sb_.directory_table_start, field.offset, field.size);
        append(bytes(), ByteView(options_.after_directories));
        gap(options_.gap);
    }

    void write_tables() {
        if (!fragments_.empty()) {
            ByteVector stream;
            for (const auto& fragment : fragments_) format::encode_fragment(stream, fragment);
            const std::uint64_t start = bytes().size();
            for (std::size_t i = 0; i < fragments_.size(); ++i) {
                const std::string field = "fragment:" + std::to_string(i);
                name_chained(field + ".start", start, i * 16, 8);
                name_chained(field + ".size", start, i * 16 + 8, 4);
            }
            const auto positions = write_chain("fragments", stream);
            sb_.fragment_count = static_cast<std::uint32_t>(fragments_.size());
            sb_.fragment_table_start = write_list("fragments", positions);
        }
        if (options_.export_table) {
            ByteVector stream;
            const std::uint64_t start = bytes().size();
            for (std::size_t i = 0; i < order_.size(); ++i) {
                append(stream, Le64(chained(order_[i]->inode_offset).raw()));
                if (i < 1000) name_chained("export:" + std::to_string(i), start, i * 8, 8);
            }
            const auto positions = write_chain("exports", stream);
            sb_.export_table_start = write_list("exports", positions);
            gap(options_.gap_after_exports);
        }
        ByteVector stream;
        const std::uint64_t start = bytes().size();
        for (std::size_t i = 0; i < ids_.size(); ++i) {
            append(stream, Le32(ids_[i]));
            if (i < 1000) name_chained("id:" + std::to_string(i), start, i * 4, 4);
        }
        const auto positions = write_chain("ids", stream);
        gap(options_.gap_before_ids);
        sb_.id_count = static_cast<std::uint16_t>(ids_.size());
        sb_.id_table_start = write_list("ids", positions);
        if (!sets_.empty()) write_xattrs();
    }

    void write_xattrs() {
        const std::uint64_t pairs_start = bytes().size();
        write_chain("xattr_pairs", pairs_);
        for (const auto& field : pair_fields_)
            name_chained(field.name, pairs_start, field.offset, field.size);
        ByteVector stream;
        const std::uint64_t sets_start = bytes().size();
        for (std::size_t i = 0; i < sets_.size(); ++i) {
            format::encode_xattr_set(stream, sets_[i]);
            const std::string field = "xattr_set:" + std::to_string(i);
            name_chained(field + ".pairs", sets_start, i * 16, 8);
            name_chained(field + ".count", sets_start, i * 16 + 8, 4);
            name_chained(field + ".size", sets_start, i * 16 + 12, 4);
        }
        const auto positions = write_chain("xattr_sets", stream);
        sb_.xattr_table_start = bytes().size();
        name_plain("xattr_header.pairs_start", bytes().size(), 8);
        name_plain("xattr_header.id_count", bytes().size() + 8, 4);
        format::encode_xattr_header(bytes(),
                                    {pairs_start, static_cast<std::uint32_t>(sets_.size())});
        write_list("xattr_sets", positions);
    }

    void finish() {
        sb_.bytes_used = bytes().size();
        const ByteVector encoded = format::encode_superblock(sb_);
        std::copy(encoded.begin(), encoded.end(), bytes().begin());
        for (const auto& field : kSuperblockFields)
            name_plain(std::string("superblock.") + field.name, field.offset, field.size);
        if (options_.pad)
            bytes().resize(ceil_div(bytes().size(), format::kPadding) * format::kPadding);
    }

    void describe() {
        std::vector<std::pair<std::string, TestNode*>> pending{{"", builder_.root_}};
        std::set<const TestNode*> seen;
        while (!pending.empty()) {
            const auto [path, node] = pending.back();
            pending.pop_back();
            if (!node->xattrs.empty()) out_.xattrs[path] = node->xattrs;
            switch (node->type) {
                case InodeType::file: out_.files[path] = node->content; break;
                case InodeType::symlink: out_.symlinks[path] = node->target; break;
                case InodeType::directory: {
                    if (!seen.insert(node).second) break;
                    auto& names = out_.directories[path];
                    for (const auto& [name, child] : node->children) {
                        names.push_back(name);
                        if (child->path.empty()) continue;
                        pending.emplace_back(path.empty() ? name : path + '/' + name, child);
                    }
                    break;
                }
                default: out_.specials.push_back(path); break;
            }
        }
    }

    struct Pending {
        std::string name;
        std::size_t offset;
        std::size_t size;
    };
    ImageBuilder& builder_;
    const BuildOptions& options_;
    BuiltImage out_;
    std::unique_ptr<codec::Compressor> compressor_;
    format::Superblock sb_;
    std::vector<TestNode*> order_;
    ByteVector fragment_;
    std::vector<format::FragmentRecord> fragments_;
    std::vector<std::uint32_t> ids_;
    ByteVector pairs_;
    std::vector<format::XattrSetRecord> sets_;
    std::vector<Pending> pair_fields_;
    ByteVector listings_;
    std::vector<Pending> listing_fields_;
};

ImageBuilder::ImageBuilder(BuildOptions options) : options_(std::move(options)) {
    nodes_.push_back(std::make_unique<TestNode>());
    root_ = nodes_.back().get();
    root_->type = InodeType::directory;
    root_->mode = 0755;
    by_path_[""] = root_;
}

TestNode& ImageBuilder::add(TestNode& parent, const std::string& name, TestNode node) {
    nodes_.push_back(std::make_unique<TestNode>(std::move(node)));
    parent.children.emplace_back(name, nodes_.back().get());
    return *nodes_.back();
}

TestNode& ImageBuilder::put(const std::string& path, TestNode node) {
    const auto slash = path.rfind('/');
    TestNode& parent = at(slash == std::string::npos ? "" : path.substr(0, slash));
    node.path = path;
    TestNode& added = add(parent, path.substr(slash == std::string::npos ? 0 : slash + 1), node);
    by_path_[path] = &added;
    return added;
}

TestNode& ImageBuilder::at(const std::string& path) {
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) throw std::logic_error("the tree has no " + path);
    return *found->second;
}

TestNode& ImageBuilder::directory(const std::string& path) {
    TestNode node;
    node.type = InodeType::directory;
    node.mode = 0755;
    return put(path, std::move(node));
}

TestNode& ImageBuilder::file(const std::string& path, std::string content) {
    TestNode node;
    node.content = std::move(content);
    return put(path, std::move(node));
}

TestNode& ImageBuilder::symlink(const std::string& path, std::string target) {
    TestNode node;
    node.type = InodeType::symlink;
    node.mode = 0777;
    node.target = std::move(target);
    return put(path, std::move(node));
}

TestNode& ImageBuilder::special(const std::string& path, InodeType type, std::uint32_t device) {
    TestNode node;
    node.type = type;
    node.device = device;
    return put(path, std::move(node));
}

void ImageBuilder::link(const std::string& path, const std::string& existing) {
    const auto slash = path.rfind('/');
    TestNode& parent = at(slash == std::string::npos ? "" : path.substr(0, slash));
    parent.children.emplace_back(path.substr(slash == std::string::npos ? 0 : slash + 1),
                                 &at(existing));
}

BuiltImage ImageBuilder::build() {
    return Layout(*this).build();
}

ImageBuilder sample_tree(const BuildOptions& options) {
    ImageBuilder builder(options);
    const std::size_t block = options.block_size;
    builder.file("big", pattern(3 * block + 500, 1));
    builder.directory("dir");
    builder.file("dir/a", pattern(10, 2));
    builder.file("dir/b", pattern(20, 3));
    builder.directory("dir/c");
    builder.file("dir/c/leaf", pattern(block + 1, 4));
    builder.directory("empty");
    builder.file("exact", pattern(2 * block, 5));
    builder.file("hard1", pattern(600, 6));
    builder.link("hard2", "hard1");
    builder.symlink("link", "dir/c/leaf");
    builder.file("nothing", "");
    builder.special("pipe", InodeType::fifo);
    builder.file("small", pattern(100, 7));
    builder.special("socket", InodeType::socket);
    builder.file("sparse", pattern(block, 8) + std::string(block, '\0') + pattern(block, 9));
    builder.special("tty", InodeType::char_device, 0x0501);
    auto& attributes = builder.file("xattrs", pattern(30, 10));
    attributes.xattrs = {{"user.one", "value"}, {"security.two", pattern(200, 11)}};
    auto& elsewhere = builder.symlink("xlink", "small");
    elsewhere.xattrs = {{"trusted.far", pattern(300, 12)}};
    elsewhere.has_values_elsewhere = true;
    return builder;
}

std::string pattern(std::size_t size, std::uint32_t seed) {
    std::string text(size, '\0');
    std::uint32_t state = seed * 2654435761U + 12345U;
    for (auto& c : text) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(1 + (state >> 24) % 255);
    }
    return text;
}

ByteVector metadata_block(ByteView payload, bool is_compressed) {
    ByteVector block;
    append(block, Le16(format::encode_metadata_header(
                      {static_cast<std::uint32_t>(payload.size()), is_compressed})));
    append(block, payload);
    return block;
}

}  // namespace squenv::test
