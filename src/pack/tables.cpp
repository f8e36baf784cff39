// SPDX-License-Identifier: MIT
#include "pack/tables.h"

#include <algorithm>
#include <bit>

#include "pack/inode_table.h"
#include "pack/lookup_table.h"

namespace squenv::pack {

namespace {

/// Digests of metadata cover pieces of this size, so that one bad byte does not condemn it all.
constexpr std::size_t kDigestedPiece = 1U << 20;

/// Appends tables and takes their digests.
class TableAppender {
  public:
    TableAppender(ImageWriter& writer, const codec::Compressor* compressor,
                  std::vector<appendix::BlockDigest>* digests)
        : writer_(writer), compressor_(compressor), digests_(digests) {}

    /// The position the bytes begin at.
    Result<std::uint64_t> add(ByteView bytes) {
        const std::uint64_t start = writer_.position();
        for (ByteView rest = bytes; digests_ != nullptr && !rest.empty();) {
            const ByteView piece = rest.first(std::min(rest.size(), kDigestedPiece));
            rest = rest.subspan(piece.size());
            digests_->push_back({start + bytes.size() - rest.size() - piece.size(),
                                 static_cast<std::uint32_t>(piece.size()), sha256_of(piece)});
        }
        SQUENV_TRY(writer_.append(bytes));
        return start;
    }

    /// The position of the location list.
    Result<std::uint64_t> add_lookup_table(ByteView records) {
        ByteVector bytes;
        SQUENV_TRY_ASSIGN(const std::uint64_t list,
                          append_lookup_table(bytes, writer_.position(), records, {}, compressor_));
        SQUENV_TRY(add(bytes));
        return list;
    }

  private:
    ImageWriter& writer_;
    const codec::Compressor* compressor_;
    std::vector<appendix::BlockDigest>* digests_;
};

ByteVector fragment_records(const Contents& contents) {
    ByteVector records;
    for (const auto& fragment : contents.fragments) format::encode_fragment(records, fragment);
    return records;
}

ByteVector export_records(const std::vector<std::uint64_t>& references) {
    ByteVector records;
    records.reserve(references.size() * format::kExportRecordSize);
    for (const std::uint64_t reference : references) append(records, Le64(reference));
    return records;
}

ByteVector id_records(const std::vector<std::uint32_t>& ids) {
    ByteVector records;
    for (const std::uint32_t id : ids) append(records, Le32(id));
    return records;
}

std::uint16_t flags_of(const Options& options, bool has_xattrs, bool has_compressor_options) {
    unsigned flags = format::kFlagExportable;
    if (options.codec == Codec::none)
        flags |= format::kFlagRawInodes | format::kFlagRawData | format::kFlagRawFragments |
                 format::kFlagRawXattrs | format::kFlagRawIds;
    if (!options.has_fragments) flags |= format::kFlagNoFragments;
    if (options.has_duplicates_removed) flags |= format::kFlagDuplicatesRemoved;
    if (!has_xattrs) flags |= format::kFlagNoXattrs;
    if (has_compressor_options) flags |= format::kFlagCompressorOptions;
    return static_cast<std::uint16_t>(flags);
}

std::uint32_t image_time(const Options& options, const InodeTables& tables) {
    // Never the clock: the same tree gives the same image at any time.
    return options.newest_mtime ? *options.newest_mtime : tables.newest_mtime;
}

}  // namespace

Result<Tables> write_tables(Tree& tree, const XattrSets& xattr_sets, const Contents& contents,
                            const Options& options, const codec::Compressor* compressor,
                            ImageWriter& writer, std::vector<appendix::BlockDigest>* digests) {
    Tables out;
    format::Superblock& superblock = out.superblock;
    superblock.inode_count = number_inodes(tree);
    XattrTable xattrs(xattr_sets, compressor);
    InodeTables tables(compressor);
    SQUENV_TRY(build_inode_tables(tree, contents, options, superblock.inode_count, xattrs, tables));
    out.clamped_mtimes = tables.clamped_mtimes;

    TableAppender appender(writer, compressor, digests);
    SQUENV_TRY_ASSIGN(superblock.inode_table_start, appender.add(tables.inodes.bytes()));
    SQUENV_TRY_ASSIGN(superblock.directory_table_start, appender.add(tables.directories.bytes()));
    SQUENV_TRY_ASSIGN(superblock.fragment_table_start,
                      appender.add_lookup_table(fragment_records(contents)));
    SQUENV_TRY_ASSIGN(superblock.export_table_start,
                      appender.add_lookup_table(export_records(tables.references)));
    SQUENV_TRY_ASSIGN(superblock.id_table_start,
                      appender.add_lookup_table(id_records(tables.ids.ids())));
    if (!xattrs.empty()) {
        SQUENV_TRY_ASSIGN(const ByteVector bytes,
                          xattrs.encode(writer.position(), superblock.xattr_table_start));
        SQUENV_TRY(appender.add(bytes));
    }

    superblock.mkfs_time = image_time(options, tables);
    superblock.block_size = options.block_size;
    superblock.block_log = static_cast<std::uint16_t>(std::countr_zero(options.block_size));
    superblock.fragment_count = static_cast<std::uint32_t>(contents.fragments.size());
    superblock.root_inode = format::Reference::from_raw(tables.references.back());
    out.references = std::move(tables.references);
    superblock.id_count = static_cast<std::uint16_t>(tables.ids.ids().size());
    superblock.bytes_used = writer.position();
    superblock.flags = flags_of(options, !xattrs.empty(), false);
    return out;
}

}  // namespace squenv::pack
