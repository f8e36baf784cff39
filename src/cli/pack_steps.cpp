// SPDX-License-Identifier: MIT
#include "cli/pack_steps.h"

#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <utility>

#include "appendix/appendix.h"
#include "base/memory.h"
#include "base/paths.h"
#include "base/temporary_name.h"
#include "base/text.h"
#include "cli/hot_touches.h"
#include "cli/mounted_run.h"
#include "cli/pass_lines.h"
#include "cli/progress_bar.h"
#include "cli/stop_signal.h"
#include "cli/warm_recording.h"
#include "image/image.h"
#include "pack/image_mount.h"
#include "pack/pack.h"
#include "pack/scanned_source.h"
#include "pack/tar_source.h"
#include "repack/image_source.h"
#include "repack/read_back.h"
#include "venv/check.h"
#include "venv/compiled_forms.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

/// Half a second in total.
constexpr int kMountLooks = 50;
constexpr timespec kMountPause{0, 10'000'000};

/// The mount that the tree is or lies in. That of a run goes some 20 ms after its last process.
std::optional<pack::ImageMount> lasting_mount(const std::string& tree) {
    auto mount = pack::image_mount_of(tree);
    for (int look = 0; mount && look < kMountLooks; ++look) {
        ::nanosleep(&kMountPause, nullptr);
        mount = pack::image_mount_of(tree);
    }
    return mount;
}

/// What is packed and what is not, when the tree shows an image.
std::string text_of(const std::string& tree, const pack::ImageMount& mount) {
    const std::string where =
        tree == mount.mountpoint ? "is a mount of " + printable(mount.image)
                                 : fmt::format("lies in {}, a mount of {}",
                                               printable(mount.mountpoint), printable(mount.image));
    return fmt::format(
        "{} {}: this packs the image, not what is below it; 'squenv umount {}' first",
        printable(tree), where, printable(mount.mountpoint));
}

}  // namespace

pack::Verify PackSteps::verify() const {
    return arguments_.verifies() ? repack::read_back : pack::Verify();
}

void PackSteps::warn(Io& io, const std::vector<std::string>& lines) const {
    if (io.is_quiet) return;
    for (const std::string& line : lines) io.err << who_ << ": " << line << '\n';
}

Status PackSteps::compile(Io& io) {
    SQUENV_TRY_ASSIGN(const std::vector<int> levels, arguments_.compile_levels());
    SQUENV_TRY_ASSIGN(auto compiled,
                      venv::CompiledForms::make(*around_.environment, levels, StopSignal::flag()));
    compiled_.emplace(std::move(compiled));
    if (!compiled_->is_complete()) warn(io, {"some modules could not be compiled"});
    return {};
}

/// One walk scans the environment for the packer and shows it to the check.
Status PackSteps::check(Io& io, const std::string& output, const pack::Options& options) {
    // A signal must leave nothing of what is compiled.
    const StopSignal stop;
    if (arguments_.compiles()) SQUENV_TRY(compile(io));
    const std::string forms = compiled_ ? compiled_->tree() : std::string();
    venv::Check check(*around_.environment, forms, options.manifest.mount_point);
    const auto begin = std::chrono::steady_clock::now();
    auto source = pack::open_directory(arguments_.directory(), output, options, forms, &check);
    if (!source) return tl::unexpected(source.error());
    auto scanned = std::make_unique<pack::ScannedSource>(std::move(*source));
    if (pack::Tree* tree = scanned->tree(); tree && !around_.environment->library.empty())
        around_.sizes = package_sizes(*tree, around_.environment->site_packages());
    scanned_.emplace(std::move(scanned));
    scan_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    around_.findings = check.finish();
    warn(io, advice_lines(around_.findings));
    if (StopSignal::flag())
        return fail(Errc::cancelled, "stopped on request; no image was written");
    return {};
}

Status PackSteps::look_around(Io& io, const std::string& output, pack::Options& options) {
    SQUENV_TRY_ASSIGN(const std::string tree, arguments_.tree());
    if (tree.empty()) return {};
    if (options.manifest.mount_point.empty())
        warn(io, {printable(tree) + ": is not UTF-8 and is not recorded; name it when you mount"});
    if (const auto mount = lasting_mount(tree)) {
        if (real_path(mount->image) == real_path(output))
            return fail(Errc::invalid_argument,
                        fmt::format("{} shows {}, which it would be packed to", printable(tree),
                                    printable(mount->image)),
                        "to pack what is below the mount, 'squenv umount " + mount->mountpoint +
                            "' first; to pack the image anew, use --from-image");
        warn(io, {text_of(tree, *mount)});
    }
    SQUENV_TRY_ASSIGN(around_.environment, venv::recognise(tree));
    if (made_ && around_.environment) around_.environment->place = made_->at;
    if (!around_.environment) {
        if (arguments_.compiles())
            return fail(Errc::invalid_argument, tree + " is not a Python environment",
                        "pack without --compile");
        return {};
    }
    options.manifest.python_version = around_.environment->python_version;
    options.manifest.python_home = around_.environment->home;
    options.manifest.is_relocatable = around_.environment->is_relocatable;
    return check(io, output, options);
}

Result<std::unique_ptr<pack::Source>> PackSteps::open_source(const std::string& output,
                                                             pack::Options& options) {
    if (scanned_) return std::move(*scanned_);
    if (!arguments_.directory().empty())
        return pack::open_directory(arguments_.directory(), output, options);
    if (!arguments_.archive().empty()) {
        const auto slash = output.rfind('/');
        const std::string directory =
            slash == std::string::npos ? "." : output.substr(0, slash + 1);
        return pack::open_tar_source(arguments_.archive(), directory, options);
    }
    SQUENV_TRY_ASSIGN(const std::string path, versions::resolve(arguments_.image()));
    SQUENV_TRY_ASSIGN(auto image, image::Image::open(path));
    SQUENV_TRY(inherit_manifest(*image, options));
    if (options.hot.empty()) {
        SQUENV_TRY_ASSIGN(auto recorded, recorded_touches(*image));
        if (options.has_appendix) options.hot = std::move(recorded);
    }
    return repack::make_image_source(std::move(image), options);
}

/// What the first packer recorded stays true, unless the user says otherwise.
Status PackSteps::inherit_manifest(const image::Image& image, pack::Options& options) const {
    SQUENV_TRY_ASSIGN(const auto appendix, image.appendix());
    if (!appendix) return {};
    const appendix::Manifest& recorded = appendix->manifest;
    if (!arguments_.has_mount_point()) options.manifest.mount_point = recorded.mount_point;
    options.manifest.python_version = recorded.python_version;
    options.manifest.python_home = recorded.python_home;
    options.manifest.is_relocatable = recorded.is_relocatable;
    options.manifest.creation = recorded.creation;
    return {};
}

/// Runs `pack(options)` with a progress bar, until a signal stops it.
template <class Pack>
Result<pack::Report> PackSteps::watch(Io& io, const pack::Options& options, Pack&& pack) {
    pack::Options watched = options;
    ProgressBar bar(io.err);
    const bool is_terminal = &io.err == &std::cerr && ::isatty(STDERR_FILENO) == 1;
    if (is_terminal && !io.is_quiet)
        watched.progress = [&bar](const pack::Progress& progress) { bar.update(progress); };
    if (io.is_verbose && !io.is_quiet) {
        io.err << settings_line(options) << '\n';
        watched.pass_done = [this, &bar, &io](const pack::PassDone& done) {
            bar.clear();
            const double ahead = done.pass == pack::Pass::scan ? scan_seconds_ : 0;
            io.err << pass_line({done.pass, done.seconds + ahead, done.report}) << '\n';
        };
    }
    const StopSignal stop;
    watched.cancel = &StopSignal::flag();
    auto report = std::forward<Pack>(pack)(watched);
    bar.clear();
    if (report) return std::move(*report);
    const auto faults = faults_of(report.error().findings, "");
    for (const std::string& line : finding_lines(faults, io.is_verbose))
        io.err << who_ << ": " << line << '\n';
    return tl::unexpected(report.error().error);
}

Result<pack::Report> PackSteps::pack(Io& io, const std::string& output,
                                     const pack::Options& options) {
    return watch(io, options, [&](pack::Options& watched) -> pack::PackResult {
        SQUENV_TRY_ASSIGN(const auto source, open_source(output, watched));
        return pack::pack(*source, output, watched, verify(), kept_.replace_for(output));
    });
}

Result<pack::Report> PackSteps::pack_again(Io& io, const std::string& first,
                                           const std::string& output,
                                           const pack::Options& options) {
    SQUENV_TRY_ASSIGN(auto image, image::Image::open(first));
    scan_seconds_ = 0;
    return watch(io, options, [&](pack::Options& watched) {
        const auto source = repack::make_image_source(std::move(image), watched);
        return pack::pack(*source, output, watched, verify(), kept_.replace_for(output));
    });
}

/// Packs twice: for the command, then in the order in which it wanted things. The second time from
/// the first image, which cannot have changed meanwhile.
Result<pack::Report> PackSteps::pack_warm(Io& io, const std::string& output,
                                          pack::Options options) {
    const TemporaryFile first(unique_name(output + ".warm."));
    SQUENV_TRY_ASSIGN(const pack::Report report, pack(io, first.path(), options));
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(first.path()));
    SQUENV_TRY(inherit_manifest(*image, options));
    SQUENV_TRY_ASSIGN(const std::string tree, arguments_.tree());
    const std::string& mountpoint = tree.empty() ? options.manifest.mount_point : tree;
    if (mountpoint.empty())
        return fail(Errc::invalid_argument, "--warm: there is no directory to mount the image over",
                    "name it with --mount-point");
    const WarmCommand command{arguments_.warm(), around_.environment.has_value()};
    SQUENV_TRY_ASSIGN(const auto trace, made_
                                            ? record_run(first.path(), made_->at, arguments_.warm())
                                            : record_command(first.path(), mountpoint, command));
    options.hot.insert(options.hot.end(), trace.items.begin(), trace.items.end());
    SQUENV_TRY_ASSIGN(pack::Report again, pack_again(io, first.path(), output, options));
    again.left_out = report.left_out;
    again.lost_xattrs = report.lost_xattrs;
    again.lost_xattr_example = report.lost_xattr_example;
    again.clamped_mtimes = report.clamped_mtimes;
    return again;
}

Result<pack::Report> PackSteps::run(Io& io) {
    return with_memory_errors(arguments_.output().value_or("the image"),
                              [&] { return run_steps(io); });
}

Result<pack::Report> PackSteps::run_steps(Io& io) {
    SQUENV_TRY_ASSIGN(pack::Options options, arguments_.options());
    SQUENV_TRY_ASSIGN(const std::string output, arguments_.output());
    // Before the tree is looked at, which takes time.
    SQUENV_TRY(pack::check(options));
    SQUENV_TRY(pack::check_output(output, options));
    SQUENV_TRY(versions::check_new_name(output));
    options.cancel = &StopSignal::flag();
    if (made_) options.manifest.creation = made_->creation;
    if (options.replaces_output) {
        SQUENV_TRY_ASSIGN(kept_,
                          KeptOutput::of(output, made_ ? "create" : "pack", arguments_.keeps()));
    }
    SQUENV_TRY(look_around(io, output, options));
    SQUENV_TRY_ASSIGN(options.hot, load_touches(arguments_.hot()));
    SQUENV_TRY_ASSIGN(pack::Report report, arguments_.warm().empty()
                                               ? pack(io, output, options)
                                               : pack_warm(io, output, options));
    warn(io, notes_of(report, io.is_verbose));
    around_.version = kept_.version();
    return report;
}

}  // namespace squenv::cli
