// SPDX-License-Identifier: MIT
#include "cli/edit_version.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "cli/finding_lines.h"
#include "cli/hot_touches.h"
#include "cli/pack_report.h"
#include "cli/stop_signal.h"
#include "edit/written.h"

namespace squenv::cli {

namespace {

/// As the image was packed, and at its place.
Result<pack::Options> options_like(const image::Image& image) {
    pack::Options options;
    const format::Superblock& head = image.superblock();
    SQUENV_TRY_ASSIGN(const auto manifest, image.manifest());
    const std::string codec = manifest ? manifest->codec : format::compressor_name(head.compressor);
    const auto known = pack::codec_of(codec);
    if (!known)
        return fail(Errc::unsupported, codec + ": the packer does not have this compression",
                    "pack the image with another one first: squenv pack --from-image");
    options.codec = *known;
    if (manifest) options.level = manifest->level;
    options.block_size = head.block_size;
    options.has_fragments = (head.flags & format::kFlagNoFragments) == 0;
    options.replaces_output = true;
    options.cancel = &StopSignal::flag();
    if (manifest) {
        options.manifest.mount_point = manifest->mount_point;
        options.manifest.python_version = manifest->python_version;
        options.manifest.python_home = manifest->python_home;
        options.manifest.is_relocatable = manifest->is_relocatable;
    }
    SQUENV_TRY_ASSIGN(options.hot, recorded_touches(image));
    return options;
}

Status check_current(const EditedImage& edited) {
    const std::string& image = edited.session.image;
    SQUENV_TRY_ASSIGN(const FileIdentity now, identity_at(image));
    if (now == edited.current) return {};
    return fail(Errc::busy, image + ": was replaced while it was edited",
                fmt::format("'squenv edit {} --resume -- true' makes a version of the changes all "
                            "the same",
                            image));
}

Result<NextVersion> publish(const EditedImage& edited, pack::Source& source,
                            const repack::Changes& changes, const pack::Options& options, Io& io) {
    NextVersion next;
    next.changes = changes;
    const auto replace = [&](const std::string& fresh, const std::string& path) -> Status {
        SQUENV_TRY(check_current(edited));
        SQUENV_TRY_ASSIGN(next.version, versions::publish(fresh, path, edited.origin, true));
        return {};
    };
    auto report = pack::pack(source, edited.session.image, options, {}, replace);
    if (!report) {
        for (const auto& line : finding_lines(faults_of(report.error().findings, ""), false))
            io.err << "squenv edit: " << line << '\n';
        return tl::unexpected(report.error().error);
    }
    next.report = std::move(*report);
    return next;
}

Result<std::optional<NextVersion>> pack_tree(const EditedImage& edited, pack::Options options,
                                             const image::Image& image, Io& io) {
    repack::Changes changes;
    SQUENV_TRY_ASSIGN(changes.written, edit::count_written(edited.session));
    if (changes.is_empty()) return std::optional<NextVersion>();
    // A user's copy has one owner.
    if (::geteuid() != 0)
        options.owner = {pack::Ownership::Kind::fixed, image.root().uid, image.root().gid};
    SQUENV_TRY_ASSIGN(const auto source,
                      pack::open_directory(edited.session.tree(), edited.session.image, options));
    SQUENV_TRY_ASSIGN(auto next, publish(edited, *source, changes, options, io));
    return std::optional<NextVersion>(std::move(next));
}

}  // namespace

Result<FileIdentity> identity_at(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    return identity_of(info);
}

Result<std::optional<NextVersion>> make_next_version(const EditedImage& edited, Io& io) {
    const StopSignal stop;
    SQUENV_TRY_ASSIGN(auto image, image::Image::open(edited.base));
    SQUENV_TRY_ASSIGN(const pack::Options options, options_like(*image));
    if (edited.session.kind == edit::Kind::tree) return pack_tree(edited, options, *image, io);
    const auto owners =
        ::geteuid() == 0 ? repack::UpperOwners::as_they_are : repack::UpperOwners::invented;
    repack::MergeSource source(std::move(image), edited.session.layers().upper, owners, options);
    SQUENV_TRY_ASSIGN(const repack::Changes changes, source.compare());
    if (changes.is_empty()) return std::optional<NextVersion>();
    SQUENV_TRY_ASSIGN(auto next, publish(edited, source, changes, options, io));
    return std::optional<NextVersion>(std::move(next));
}

}  // namespace squenv::cli
