// SPDX-License-Identifier: MIT
#include "pack/pack.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <new>
#include <utility>

#include "appendix/appendix.h"
#include "base/little_endian.h"
#include "codec/codec.h"
#include "config.h"
#include "format/tables.h"
#include "pack/compiled_times.h"
#include "pack/content.h"
#include "pack/directory_source.h"
#include "pack/hot.h"
#include "pack/image_writer.h"
#include "pack/order.h"
#include "pack/overlay_fit.h"
#include "pack/report.h"
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
    append(
        block,
        Le16(format::encode_metadata_header({static_cast<std::uint32_t>(payload.size()), false})));
    append(block, payload);
    return block;
}

/// The error for what could not be read, which leaves no image.
Error unreadable(const std::vector<Finding>& findings) {
    const bool is_damaged = std::any_of(findings.begin(), findings.end(), [](const Finding& one) {
        return one.code == Errc::corrupt;
    });
    // Leaving out what only changed would leave out parts of what is wanted.
    const bool has_changed = std::all_of(findings.begin(), findings.end(),
                                         [](const Finding& one) { return one.code == Errc::busy; });
    return {is_damaged ? Errc::corrupt : Errc::busy, 0,
            findings.size() == 1 ? std::string("a file could not be packed; no image was written")
                                 : fmt::format("{} files could not be packed; no image was written",
                                               findings.size()),
            has_changed ? "pack again when nothing writes to the tree; --ignore-unreadable "
                          "leaves out what changes"
                        : "leave out what cannot be read with --ignore-unreadable"};
}

/// Names what was to be made, and what makes it need less.
Error memory_failure(const std::string& output, Error error) {
    error = with_context(std::move(error), output).value();
    error.hint = "pack with fewer threads (-j, --readers), smaller blocks (-b) or a higher limit";
    return error;
}

/// Marks what the content pass could not read, so that the tables do not mention it.
void leave_out_failed(Tree& tree, const Contents& contents) {
    for (const Content& content : contents.files)
        if (content.has_failed) tree.at(content.node).is_left_out = true;
}

appendix::Manifest manifest_of(const Options& options, const Scanned& scanned) {
    appendix::Manifest manifest;
    manifest.mount_point = options.manifest.mount_point;
    manifest.tool_version = SQUENV_VERSION;
    manifest.codec = codec_name(options.codec);
    manifest.level = level_of(options);
    manifest.block_size = options.block_size;
    manifest.python_version = options.manifest.python_version;
    manifest.python_home = options.manifest.python_home;
    manifest.is_relocatable = options.manifest.is_relocatable;
    manifest.fits_overlay = fits_overlay(scanned);
    manifest.creation = options.manifest.creation;
    return manifest;
}

Status write_appendix(appendix::Manifest manifest, std::vector<appendix::BlockDigest> digests,
                      std::vector<appendix::HotItem> hot, ByteView head, ImageWriter& writer) {
    appendix::Appendix appendix;
    appendix.manifest = std::move(manifest);
    appendix.hot = std::move(hot);
    appendix.digests.push_back({0, static_cast<std::uint32_t>(head.size()), sha256_of(head)});
    appendix.digests.insert(appendix.digests.end(), digests.begin(), digests.end());
    SQUENV_TRY(writer.append(appendix::encode(appendix)));
    return writer.align(format::kPadding);
}

/// Tells the caller about each pass and how long it took.
class PassClock {
  public:
    explicit PassClock(const Options& options) : options_(options) {}
    void done(Pass pass, const Report& report) {
        const auto now = Clock::now();
        const std::chrono::duration<double> taken = now - begin_;
        begin_ = now;
        if (options_.pass_done) options_.pass_done({pass, taken.count(), report});
    }

  private:
    using Clock = std::chrono::steady_clock;
    const Options& options_;
    Clock::time_point begin_ = Clock::now();
};

/// The passes over one source. Each method is one or a few of them, in this order.
class Run {
  public:
    Run(Source& source, const Options& options, const Verify& verify, const Replace& replace,
        ImageWriter* prepared)
        : source_(source),
          options_(options),
          verify_(verify),
          replace_(replace),
          prepared_(prepared),
          clock_(options) {}

    /// At most once.
    PackResult run(const std::string& output);

  private:
    Status run_passes(const std::string& output);
    /// Errors: those of the passes; limit, when there is no memory.
    Status run_guarded(const std::string& output);
    /// Errors: busy, corrupt, when there are problems that are not to be left out.
    [[nodiscard]] Status check_problems() const;
    Status scan();
    Status order();
    Status store(ImageWriter& writer);
    Status write_tables(ImageWriter& writer);
    Status finish(ImageWriter& writer);

    Source& source_;
    const Options& options_;
    const Verify& verify_;
    const Replace& replace_;
    ImageWriter* const prepared_;
    PassClock clock_;
    const FileHasher hasher_;
    std::unique_ptr<codec::Compressor> compressor_;  ///< null stores everything as it is
    std::vector<Finding> problems_;                  ///< what could not be packed
    Report report_;
    Scanned scanned_;
    Contents contents_;
    Stored stored_;
    ByteVector head_;  ///< superblock and compressor options
};

Status Run::run_guarded(const std::string& output) {
    Status status;
    try {
        status = run_passes(output);
    } catch (const std::bad_alloc&) {
        status = fail_memory({});
    }
    if (status || !is_short_of_memory(status.error())) return status;
    return tl::unexpected(memory_failure(output, status.error()));
}

PackResult Run::run(const std::string& output) {
    if (const Status status = run_guarded(output); !status)
        return tl::unexpected(PackFailure(status.error(), std::move(problems_)));
    report_.left_out = std::move(problems_);
    return std::move(report_);
}

Status Run::check_problems() const {
    if (problems_.empty() || options_.ignores_unreadable) return {};
    return tl::unexpected(unreadable(problems_));
}

Status Run::run_passes(const std::string& output) {
    SQUENV_TRY(check(options_));
    if (options_.codec != Codec::none) {
        SQUENV_TRY_ASSIGN(compressor_,
                          codec::make_compressor(compressor_of(options_.codec), level_of(options_),
                                                 options_.block_size));
    }
    SQUENV_TRY(ImageWriter::check_output(output, options_.replaces_output));
    SQUENV_TRY(scan());
    SQUENV_TRY(check_problems());
    // Only now: a file made earlier in the tree itself would be found by the scan.
    auto created = prepared_ != nullptr
                       ? Result<ImageWriter>(std::move(*prepared_))
                       : ImageWriter::create(output, options_.replaces_output,
                                             options_.replaces_output ? replace_ : Replace());
    if (!created) return tl::unexpected(std::move(created).error());
    ImageWriter& writer = *created;
    SQUENV_TRY(order());
    SQUENV_TRY(store(writer));
    SQUENV_TRY(check_problems());
    SQUENV_TRY(write_tables(writer));
    return finish(writer);
}

Status Run::scan() {
    SQUENV_TRY_ASSIGN(scanned_, source_.scan());
    problems_ = std::move(scanned_.problems);
    report_.entries = scanned_.tree.nodes.size();
    report_.lost_xattrs = scanned_.xattrs.lost().count;
    report_.lost_xattr_example = scanned_.xattrs.lost().example;
    if (options_.is_strict && report_.lost_xattrs > 0)
        return fail(Errc::unsupported,
                    fmt::format("{} extended attributes such as {} do not fit into squashfs",
                                report_.lost_xattrs, report_.lost_xattr_example),
                    "pack without --strict to lose them");
    clock_.done(Pass::scan, report_);
    return {};
}

Status Run::order() {
    resolve_hard_links(scanned_.tree);
    Tree& tree = scanned_.tree;
    const std::vector<EntryId> hot_files = find_hot_files(tree, options_.hot);
    SQUENV_TRY_ASSIGN(contents_,
                      make_contents(tree, order_files(tree, hot_files), options_.block_size));
    contents_.hot_count = hot_files.size();
    report_.hot_files = hot_files.size();
    mark_hot_directories(tree, options_.hot);
    count_files(contents_, report_);
    clock_.done(Pass::order, report_);
    return {};
}

Status Run::store(ImageWriter& writer) {
    SQUENV_TRY(writer.append(encode_option_block(options_)));
    const RetimedSource source(source_, options_);
    SQUENV_TRY_ASSIGN(stored_,
                      store_contents(source, scanned_.tree, contents_, options_, compressor_.get(),
                                     hasher_, static_cast<bool>(verify_), writer));
    problems_.insert(problems_.end(), stored_.problems.begin(), stored_.problems.end());
    leave_out_failed(scanned_.tree, contents_);
    count_files(contents_, report_);
    count_blocks(stored_, contents_, report_);
    clock_.done(Pass::store, report_);
    return {};
}

Status Run::write_tables(ImageWriter& writer) {
    auto* digests = options_.has_appendix ? &stored_.digests : nullptr;
    SQUENV_TRY_ASSIGN(Tables tables,
                      pack::write_tables(scanned_.tree, scanned_.xattrs, contents_, options_,
                                         compressor_.get(), writer, digests));
    const ByteVector option_block = encode_option_block(options_);
    tables.superblock.compressor = compressor_of(options_.codec);
    if (!option_block.empty()) tables.superblock.flags |= format::kFlagCompressorOptions;
    SQUENV_TRY(writer.align(format::kPadding));
    head_ = format::encode_superblock(tables.superblock);
    append(head_, option_block);
    if (options_.has_appendix)
        SQUENV_TRY(write_appendix(manifest_of(options_, scanned_), std::move(stored_.digests),
                                  hot_list_of(scanned_.tree, options_.hot, tables.references),
                                  head_, writer));
    report_.inodes = tables.superblock.inode_count;
    report_.image_bytes = writer.position();
    report_.metadata_bytes = report_.image_bytes - report_.block_bytes;
    report_.clamped_mtimes = tables.clamped_mtimes;
    count_directories(scanned_.tree, report_);
    clock_.done(Pass::tables, report_);
    return {};
}

Status Run::finish(ImageWriter& writer) {
    if (is_cancelled(options_)) return cancelled();
    SQUENV_TRY(writer.seal(head_));
    clock_.done(Pass::sync, report_);
    if (verify_) {
        SQUENV_TRY(
            verify_(writer.temporary_path(),
                    Expectation{scanned_.tree, contents_, stored_.hashes, hasher_, options_}));
        clock_.done(Pass::verify, report_);
    }
    SQUENV_TRY(writer.publish());
    report_.access_note = writer.access_note();
    return {};
}

}  // namespace

Status check(const Options& options) {
    if (!std::has_single_bit(options.block_size) || options.block_size < format::kMinBlockSize ||
        options.block_size > format::kMaxBlockSize)
        return fail(Errc::invalid_argument,
                    fmt::format("block size {} is not a power of two from 4096 to 1048576",
                                options.block_size),
                    "256K is the default of --block-size");
    if (options.codec == Codec::none) return {};
    const CompressorId id = compressor_of(options.codec);
    if (!codec::is_available(id))
        return fail(Errc::unsupported,
                    fmt::format("squenv was built without {}", codec_name(options.codec)),
                    fmt::format("choose another --codec, or build it with -D{}=enabled",
                                codec_name(options.codec)));
    const auto range = codec::level_range(id);
    const int level = level_of(options);
    if (level < range.lowest || level > range.highest)
        return fail(Errc::invalid_argument,
                    fmt::format("{} has levels {} to {}, not {}", codec_name(options.codec),
                                range.lowest, range.highest, level),
                    "choose one of them with --level");
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
    if (options.codec == Codec::none) return codec::level_range(CompressorId::gzip).preset;
    return options.level.value_or(codec::level_range(compressor_of(options.codec)).preset);
}

PackResult pack(Source& source, const std::string& output, const Options& options,
                const Verify& verify, const Replace& replace, ImageWriter* prepared) {
    return Run(source, options, verify, replace, prepared).run(output);
}

Result<std::unique_ptr<Source>> open_directory(const std::string& path, const std::string& output,
                                               const Options& options, const std::string& overlay,
                                               TreeObserver* observer) {
    std::optional<SkippedFile> skipped;
    struct stat info {};
    if (::stat(output.c_str(), &info) == 0) skipped = SkippedFile{info.st_dev, info.st_ino};
    return open_directory_source(path, overlay, options, skipped, observer);
}

}  // namespace squenv::pack
