// SPDX-License-Identifier: MIT
#include "cli/edit_version.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <ostream>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "cli/finding_lines.h"
#include "cli/hot_touches.h"
#include "cli/pack_report.h"
#include "cli/stop_signal.h"
#include "edit/overlay.h"
#include "edit/written.h"

namespace squenv::cli {

namespace {

/// A quarter of a second.
constexpr int kPatienceSteps = 25;
constexpr std::chrono::milliseconds kPatienceStep{10};

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

}  // namespace

Result<FileIdentity> identity_at(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    return identity_of(info);
}

VersionMaker::~VersionMaker() {
    is_cancelled_ = true;
}

Status VersionMaker::open() {
    if (image_) return {};
    SQUENV_TRY_ASSIGN(image_, image::Image::open(edited_.base));
    SQUENV_TRY_ASSIGN(options_, options_like(*image_));
    return {};
}

void VersionMaker::prepare() {
    if (edited_.session.kind == edit::Kind::tree || !open()) return;
    auto writer = pack::ImageWriter::create(
        edited_.session.image, true,
        [this](const std::string& fresh, const std::string& path) { return replace(fresh, path); });
    if (!writer) return;
    writer_.emplace(std::move(*writer));
    const auto copy = [this, end = image_->superblock().inode_table_start]() noexcept {
        // A command that ends before that may have changed nothing.
        for (int i = 0; i < kPatienceSteps && !is_cancelled_; ++i)
            std::this_thread::sleep_for(kPatienceStep);
        has_begun_ = true;
        try {
            has_adopted_ =
                writer_->adopt(edited_.base->descriptor(), end, is_cancelled_).has_value();
        } catch (const std::bad_alloc&) {
            // The packer copies what it needs itself.
        }
    };
    try {
        copier_ = std::jthread(copy);
    } catch (const std::exception&) {
        // No thread or no memory for one: the same.
    }
}

pack::ImageWriter* VersionMaker::prepared() {
    if (!has_begun_) is_cancelled_ = true;
    if (copier_.joinable()) copier_.join();
    if (!has_adopted_) writer_.reset();
    return writer_ ? &*writer_ : nullptr;
}

Status VersionMaker::check_current() const {
    const std::string& image = edited_.session.image;
    SQUENV_TRY_ASSIGN(const FileIdentity now, identity_at(image));
    if (now == edited_.current) return {};
    return fail(Errc::busy, image + ": was replaced while it was edited",
                fmt::format("'squenv edit {} --resume -- true' makes a version of the changes all "
                            "the same",
                            image));
}

Status VersionMaker::replace(const std::string& fresh, const std::string& path) {
    SQUENV_TRY(check_current());
    SQUENV_TRY_ASSIGN(next_.version, versions::publish(fresh, path, edited_.origin, true));
    return {};
}

Result<std::optional<NextVersion>> VersionMaker::pack(pack::Source& source, Io& io) {
    const auto replace = [this](const std::string& fresh, const std::string& path) {
        return this->replace(fresh, path);
    };
    auto report = pack::pack(source, edited_.session.image, options_, {}, replace, prepared());
    if (!report) {
        for (const auto& line : finding_lines(faults_of(report.error().findings, ""), false))
            io.err << "squenv edit: " << line << '\n';
        return tl::unexpected(report.error().error);
    }
    next_.report = std::move(*report);
    return std::optional<NextVersion>(std::move(next_));
}

Result<std::optional<NextVersion>> VersionMaker::pack_tree(Io& io) {
    SQUENV_TRY_ASSIGN(next_.changes.written, edit::count_written(edited_.session));
    if (next_.changes.is_empty()) return std::optional<NextVersion>();
    // A user's copy has one owner.
    if (!edit::shows_owners())
        options_.owner = {pack::Ownership::Kind::fixed, image_->root().uid, image_->root().gid};
    SQUENV_TRY_ASSIGN(const auto source, pack::open_directory(edited_.session.tree(),
                                                              edited_.session.image, options_));
    return pack(*source, io);
}

Result<std::optional<NextVersion>> VersionMaker::make(Io& io) {
    const StopSignal stop;
    SQUENV_TRY(open());
    if (edited_.session.kind == edit::Kind::tree) return pack_tree(io);
    const auto owners =
        edit::shows_owners() ? repack::UpperOwners::as_they_are : repack::UpperOwners::invented;
    repack::MergeSource source(std::move(image_), edited_.session.layers().upper, owners, options_);
    SQUENV_TRY_ASSIGN(next_.changes, source.compare());
    if (next_.changes.is_empty()) return std::optional<NextVersion>();
    return pack(source, io);
}

}  // namespace squenv::cli
