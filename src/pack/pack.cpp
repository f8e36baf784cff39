// SPDX-License-Identifier: MIT
#include "pack/pack.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

#include "appendix/appendix.h"
#include "base/little_endian.h"
#include "codec/codec.h"
#include "config.h"
#include "format/tables.h"
#include "pack/content.h"
#include "pack/directory_source.h"
#include "pack/hot.h"
#include "pack/image_writer.h"
#include "pack/order.h"
#include "pack/store.h"
#include "pack/tables.h"

namespace squenv::pack {

namespace {

using format::CompressorId;

constexpr std::array<std::pair<Codec, const char*>, 6> kCodecs{{{Codec::none, "none"},
                                                                {Codec::gzip, "gzip"},
                                                                {Codec::lzo, "lzo"},
                                                                {Codec::xz, "xz"},
                                                                {Codec::lz4, "lz4"},
                                                                {Codec::zstd, "zstd"}}};

/// An image without compression still names a compressor; gzip is the one every kernel has.
CompressorId compressor_of(Codec codec) {
    switch (codec) {
        case Codec::none:
        case Codec::gzip: return CompressorId::gzip;
        case Codec::lzo: return CompressorId::lzo;
        case Codec::xz: return CompressorId::xz;
        case Codec::lz4: return CompressorId::lz4;
        case Codec::zstd: return CompressorId::zstd;
    }
    return CompressorId::gzip;
}

/// The option block, empty when the image needs none.
ByteVector encode_option_block(const Options& options) {
    const ByteVector payload =
        format::encode_compressor_options(compressor_of(options.codec), level_of(options));
    ByteVector block;
    if (payload.empty()) return block;
    append(block, Le16(format::encode_metadata_header(
                      {static_cast<std::uint32_t>(payload.size()), false})));
    append(block, payload);
    return block;
}

tl::unexpected<PackFailure> failed(Error error, std::vector<Finding> findings = {}) {
    return tl::unexpected(PackFailure{std::move(error), std::move(findings)});
}

tl::unexpected<PackFailure> unreadable(std::vector<Finding> findings) {
    Error error{Errc::busy, 0,
                findings.size() == 1
                    ? std::string("a file could not be packed; no image was written")
                    : fmt::format("{} files could not be packed; no image was written",
                                  findings.size()),
                "leave them out with --ignore-unreadable"};
    return failed(std::move(error), std::move(findings));
}

/// Marks what the content pass could not read, so that the tables do not mention it.
void leave_out_failed(Tree& tree, const Contents& contents) {
    for (const Content& content : contents.files)
        if (content.has_failed) tree.at(content.node).is_left_out = true;
}

appendix::Manifest manifest_of(const Options& options) {
    appendix::Manifest manifest;
    manifest.mount_point = options.manifest_mount_point;
    manifest.tool_version = SQUENV_VERSION;
    manifest.codec = codec_name(options.codec);
    manifest.level = level_of(options);
    manifest.block_size = options.block_size;
    manifest.python_version = options.manifest_python;
    manifest.python_home = options.manifest_python_home;
    manifest.is_relocatable = options.manifest_is_relocatable;
    return manifest;
}

Status write_appendix(const Options& options, std::vector<appendix::BlockDigest> digests,
                      std::vector<appendix::HotItem> hot, ByteView head, ImageWriter& writer) {
    appendix::Appendix appendix;
    appendix.manifest = manifest_of(options);
    appendix.hot = std::move(hot);
    appendix.digests.push_back(
        {0, static_cast<std::uint32_t>(head.size()), appendix::digest_of(head)});
    appendix.digests.insert(appendix.digests.end(), digests.begin(), digests.end());
    SQUENV_TRY(writer.append(appendix::encode(appendix)));
    return writer.align(format::kPadding);
}

void count(const Tree& tree, const Contents& contents, Report& report) {
    report.files = 0;
    for (const Content& content : contents.files) {
        if (content.has_failed) continue;
        ++report.files;
        report.source_bytes += content.size_bytes;
    }
    for_each_directory_children_first(tree, [&](NodeId) { ++report.directories; });
}

/// Bytes of the files in every entry of `directory`, largest first.
std::vector<Size> sizes_in(const Tree& tree, const Contents& contents, NodeId directory) {
    std::map<NodeId, std::uint64_t> sizes;
    for (const Content& content : contents.files) {
        NodeId entry = content.node;
        while (entry != kRootNode && tree.at(entry).parent != directory)
            entry = tree.at(entry).parent;
        if (entry != kRootNode) sizes[entry] += content.size_bytes;
    }
    std::vector<Size> sorted;
    for (const auto& [entry, bytes] : sizes)
        sorted.push_back({std::string(tree.at(entry).name_view()), bytes});
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Size& a, const Size& b) { return a.bytes > b.bytes; });
    return sorted;
}

Result<Report> run_passes(Source& source, const std::string& output, const Options& options,
                          const Verify& verify, std::vector<Finding>& problems) {
    SQUENV_TRY(check(options));
    std::unique_ptr<codec::Compressor> compressor;
    if (options.codec != Codec::none) {
        SQUENV_TRY_ASSIGN(compressor, codec::make_compressor(compressor_of(options.codec),
                                                             level_of(options),
                                                             options.block_size));
    }
    SQUENV_TRY(ImageWriter::check_output(output, options.replaces_output));
    SQUENV_TRY_ASSIGN(Scanned scanned, source.scan());
    problems = std::move(scanned.problems);
    if (!problems.empty() && !options.ignores_unreadable) return Report{};
    Tree& tree = scanned.tree;
    Report report;
    report.lost_xattrs = scanned.xattrs.lost().count;
    report.lost_xattr_example = scanned.xattrs.lost().example;
    if (options.is_strict && report.lost_xattrs > 0)
        return fail(Errc::unsupported,
                    fmt::format("{} extended attributes such as {} do not fit into squashfs",
                                report.lost_xattrs, report.lost_xattr_example),
                    "pack without --strict to lose them");

    // Only now: a file made earlier in the tree itself would be found by the scan.
    SQUENV_TRY_ASSIGN(ImageWriter writer, ImageWriter::create(output, options.replaces_output));
    const ByteVector option_block = encode_option_block(options);
    SQUENV_TRY(writer.append(option_block));
    resolve_hard_links(tree);
    const std::vector<NodeId> hot_files = find_hot_files(tree, options.hot);
    SQUENV_TRY_ASSIGN(Contents contents,
                      make_contents(tree, order_files(tree, hot_files), options.block_size));
    contents.hot_count = hot_files.size();
    mark_hot_directories(tree, options.hot);
    const FileHasher hasher;
    SQUENV_TRY_ASSIGN(Stored stored,
                      store_contents(source, tree, contents, options, compressor.get(), hasher,
                                     static_cast<bool>(verify), writer));
    problems.insert(problems.end(), stored.problems.begin(), stored.problems.end());
    if (!problems.empty() && !options.ignores_unreadable) return Report{};
    leave_out_failed(tree, contents);

    auto* digests = options.has_appendix ? &stored.digests : nullptr;
    SQUENV_TRY_ASSIGN(Tables tables, write_tables(tree, scanned.xattrs, contents, options,
                                                  compressor.get(), writer, digests));
    tables.superblock.compressor = compressor_of(options.codec);
    if (!option_block.empty()) tables.superblock.flags |= format::kFlagCompressorOptions;
    SQUENV_TRY(writer.align(format::kPadding));
    ByteVector head = format::encode_superblock(tables.superblock);
    append(head, option_block);
    if (options.has_appendix)
        SQUENV_TRY(write_appendix(options, std::move(stored.digests),
                                  hot_list_of(tree, options.hot, tables.references), head,
                                  writer));
    if (is_cancelled(options)) return cancelled();
    SQUENV_TRY(writer.seal(head));
    if (verify)
        SQUENV_TRY(verify(writer.temporary_path(),
                          Expectation{tree, contents, stored.hashes, hasher, options}));
    SQUENV_TRY(writer.publish());

    report.inodes = tables.superblock.inode_count;
    report.image_bytes = writer.position();
    report.duplicate_files = stored.duplicate_files;
    report.duplicate_bytes = stored.duplicate_bytes;
    report.clamped_mtimes = tables.clamped_mtimes;
    report.hot_files = hot_files.size();
    count(tree, contents, report);
    const NodeId measured = options.measured_directory.empty()
                                ? kNoNode
                                : tree.find(options.measured_directory);
    if (measured != kNoNode) report.sizes = sizes_in(tree, contents, measured);
    return report;
}

}  // namespace

Status check(const Options& options) {
    if (!std::has_single_bit(options.block_size) ||
        options.block_size < format::kMinBlockSize || options.block_size > format::kMaxBlockSize)
        return fail(Errc::invalid_argument,
                    fmt::format("block size {} is not a power of two from 4096 to 1048576",
                                options.block_size));
    if (options.codec == Codec::none) return {};
    const CompressorId id = compressor_of(options.codec);
    if (!codec::is_available(id))
        return fail(Errc::unsupported,
                    fmt::format("this build has no {} support", codec_name(options.codec)),
                    "choose another --codec");
    const auto range = codec::level_range(id);
    const int level = level_of(options);
    if (level < range.lowest || level > range.highest)
        return fail(Errc::invalid_argument,
                    fmt::format("{} has levels {} to {}, not {}", codec_name(options.codec),
                                range.lowest, range.highest, level));
    return {};
}

Status check_output(const std::string& output, const Options& options) {
    return ImageWriter::check_output(output, options.replaces_output);
}

std::optional<Codec> codec_of(std::string_view name) {
    for (const auto& [codec, text] : kCodecs)
        if (name == text) return codec;
    return std::nullopt;
}

const char* codec_name(Codec codec) {
    for (const auto& [known, text] : kCodecs)
        if (known == codec) return text;
    return "unknown";
}

int level_of(const Options& options) {
    if (options.codec == Codec::none)
        return codec::level_range(CompressorId::gzip).preset;
    return options.level.value_or(codec::level_range(compressor_of(options.codec)).preset);
}

tl::expected<Report, PackFailure> pack(Source& source, const std::string& output,
                                       const Options& options, const Verify& verify) {
    std::vector<Finding> problems;
    auto report = run_passes(source, output, options, verify, problems);
    if (!report) return failed(report.error(), std::move(problems));
    if (!problems.empty() && !options.ignores_unreadable) return unreadable(std::move(problems));
    report->left_out = std::move(problems);
    return std::move(*report);
}

tl::expected<Report, PackFailure> pack_directory(const std::string& path, const std::string& output,
                                                 const Options& options, const Verify& verify) {
    std::optional<SkippedFile> skipped;
    struct stat info {};
    if (::stat(output.c_str(), &info) == 0) skipped = SkippedFile{info.st_dev, info.st_ino};
    auto source = open_directory_source(path, options, skipped);
    if (!source) return failed(source.error());
    return pack(**source, output, options, verify);
}

}  // namespace squenv::pack
