// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "appendix/appendix.h"
#include "base/printable.h"
#include "base/temporary_name.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/finding_lines.h"
#include "cli/hot_items.h"
#include "cli/mounted_run.h"
#include "cli/pack_options.h"
#include "cli/pass_lines.h"
#include "cli/progress_bar.h"
#include "cli/stop_signal.h"
#include "cli/warm_recording.h"
#include "image/image.h"
#include "pack/image_mount.h"
#include "pack/pack.h"
#include "pack/tar_source.h"
#include "repack/image_source.h"
#include "repack/read_back.h"
#include "venv/compiled_forms.h"
#include "venv/environment.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

/// More lines of advice than this hide each other; --json has them all.
constexpr std::size_t kMostFindings = 20;
constexpr std::size_t kLargestPackages = 10;

/// What is known of the packed tree besides the packer's own report.
struct Surroundings {
    std::optional<venv::Environment> environment;
    std::vector<venv::Finding> findings;
};

/// Image bytes per source byte, as " (12.3 %)". Of a tree that is smaller than the smallest image
/// it says nothing.
std::string ratio(const pack::Report& report) {
    if (report.image_bytes > report.source_bytes) return {};
    return fmt::format(" ({:.1f} %)", 100.0 * static_cast<double>(report.image_bytes) /
                                          static_cast<double>(report.source_bytes));
}

void print_summary(std::ostream& out, const std::string& output, const pack::Report& report) {
    out << fmt::format("{}: {} inodes in one file, {} of {}{}\n", printable(output),
                       report.inodes, format_size(report.image_bytes), format_size(report.source_bytes),
                       ratio(report));
    if (report.duplicate_files > 0)
        out << fmt::format("{} files with {} are copies of others and stored once\n",
                           report.duplicate_files, format_size(report.duplicate_bytes));
    if (report.hot_files > 0)
        out << fmt::format("{} hot files are stored first\n", report.hot_files);
    if (!report.sizes.empty()) out << "largest packages:\n";
    for (std::size_t i = 0; i < report.sizes.size() && i < kLargestPackages; ++i)
        out << fmt::format("{:>12}  {}\n", format_size(report.sizes[i].bytes),
                           report.sizes[i].name);
}

Json to_json(const std::string& output, const pack::Report& report, const Surroundings& around) {
    Json json{{"image", output},
              {"image_bytes", report.image_bytes},
              {"source_bytes", report.source_bytes},
              {"inodes", report.inodes},
              {"files", report.files},
              {"directories", report.directories},
              {"duplicate_files", report.duplicate_files},
              {"duplicate_bytes", report.duplicate_bytes},
              {"blocks", report.blocks},
              {"fragment_blocks", report.fragment_blocks},
              {"raw_blocks", report.raw_blocks},
              {"hot_files", report.hot_files},
              {"lost_xattrs", report.lost_xattrs},
              {"clamped_mtimes", report.clamped_mtimes}};
    json["left_out"] = Json::array();
    for (const auto& finding : report.left_out)
        json["left_out"].push_back({{"path", finding.path}, {"reason", finding.reason}});
    json["findings"] = Json::array();
    for (const auto& finding : around.findings)
        json["findings"].push_back(
            {{"path", finding.path}, {"reason", finding.reason}, {"advice", finding.advice}});
    json["largest_packages"] = Json::array();
    for (std::size_t i = 0; i < report.sizes.size() && i < kLargestPackages; ++i)
        json["largest_packages"].push_back(
            {{"name", report.sizes[i].name}, {"bytes", report.sizes[i].bytes}});
    if (around.environment)
        json["python"] = {{"version", around.environment->python_version},
                          {"home", around.environment->home},
                          {"relocatable", around.environment->is_relocatable},
                          {"system_site_packages", around.environment->has_system_packages}};
    return json;
}

std::vector<Fault> faults_of(const std::vector<pack::Finding>& findings, const char* end) {
    std::vector<Fault> faults;
    for (const auto& finding : findings) faults.push_back({finding.path, finding.reason + end});
    return faults;
}

std::vector<std::string> lines_of(const std::vector<venv::Finding>& findings) {
    std::vector<Fault> faults;
    for (const auto& finding : findings)
        faults.push_back({finding.path, finding.reason + "; " + finding.advice});
    auto lines = finding_lines(faults, false);
    if (lines.size() <= kMostFindings) return lines;
    const std::size_t more = lines.size() - kMostFindings;
    lines.resize(kMostFindings);
    lines.push_back(fmt::format("and {} more findings; --json lists them all", more));
    return lines;
}

std::vector<std::string> notes_of(const pack::Report& report, bool is_complete) {
    auto notes = finding_lines(faults_of(report.left_out, "; left out"), is_complete);
    if (report.lost_xattrs > 0)
        notes.push_back(
            fmt::format("{} extended attributes such as {} do not fit into squashfs; left out",
                        report.lost_xattrs, report.lost_xattr_example));
    if (report.clamped_mtimes > 0)
        notes.push_back(
            fmt::format("{} times of files were changed to fit", report.clamped_mtimes));
    if (!report.access_note.empty()) notes.push_back(printable(report.access_note));
    return notes;
}

/// What is packed and what is not, when the tree shows an image.
std::string text_of(const std::string& tree, const pack::ImageMount& mount) {
    const std::string where =
        tree == mount.mountpoint
            ? "is a mount of " + printable(mount.image)
            : fmt::format("lies in {}, a mount of {}", printable(mount.mountpoint),
                          printable(mount.image));
    return fmt::format(
        "{} {}: this packs the image, not what is below it; 'squenv umount {}' first",
        printable(tree), where, printable(mount.mountpoint));
}

class PackCommand final : public Command {
  public:
    explicit PackCommand(const char* who) : who_(who) {}
    const char* name() const override { return "pack"; }
    const char* summary() const override { return "Pack a tree into an image"; }
    void declare(CLI::App& app) override { arguments_.declare(app); }
    Status run(Io& io) override;

  private:
    void warn(Io& io, const std::vector<std::string>& lines) const;
    Status look_around(Io& io, Surroundings& around, pack::Options& options);
    Status compile(Io& io, const venv::Environment& environment);
    Status check(Io& io, Surroundings& around);
    tl::expected<pack::Report, pack::PackFailure> pack_other(const std::string& output,
                                                             pack::Options& options,
                                                             const pack::Verify& verify);
    Status inherit_manifest(const image::Image& image, pack::Options& options) const;
    Result<pack::Report> pack(Io& io, const std::string& output, const pack::Options& options);
    Result<pack::Report> pack_warm(Io& io, const std::string& output, pack::Options options,
                                   bool is_environment);
    Result<pack::Report> pack_again(Io& io, const std::string& first, const std::string& output,
                                    const pack::Options& options);
    template <class Pack>
    Result<pack::Report> watch(Io& io, const pack::Options& options, Pack&& pack);

    const char* const who_;
    PackArguments arguments_;
    std::optional<venv::CompiledForms> compiled_;  ///< removed when the image is complete
};

void PackCommand::warn(Io& io, const std::vector<std::string>& lines) const {
    if (io.is_quiet) return;
    for (const std::string& line : lines) io.err << who_ << ": " << line << '\n';
}

Status PackCommand::compile(Io& io, const venv::Environment& environment) {
    SQUENV_TRY_ASSIGN(const std::vector<int> levels, arguments_.compile_levels());
    SQUENV_TRY_ASSIGN(auto compiled,
                      venv::CompiledForms::make(environment, levels, StopSignal::flag()));
    compiled_.emplace(std::move(compiled));
    if (!compiled_->is_complete()) warn(io, {"some modules could not be compiled"});
    return {};
}

Status PackCommand::check(Io& io, Surroundings& around) {
    // A signal must not leave behind what is compiled.
    std::optional<StopSignal> stop;
    if (arguments_.has_compile()) {
        stop.emplace();
        SQUENV_TRY(compile(io, *around.environment));
    }
    around.findings =
        venv::check(*around.environment, compiled_ ? compiled_->tree() : std::string());
    warn(io, lines_of(around.findings));
    if (stop && StopSignal::flag())
        return fail(Errc::cancelled, "stopped on request; no image was written");
    return {};
}

Status PackCommand::look_around(Io& io, Surroundings& around, pack::Options& options) {
    SQUENV_TRY_ASSIGN(const std::string tree, arguments_.tree());
    if (tree.empty()) return {};
    if (options.manifest_mount_point.empty())
        warn(io, {printable(tree) + ": is not UTF-8 and is not recorded; name it when you mount"});
    if (const auto mount = pack::image_mount_of(tree)) warn(io, {text_of(tree, *mount)});
    SQUENV_TRY_ASSIGN(around.environment, venv::recognise(tree));
    if (!around.environment) {
        if (arguments_.has_compile())
            return fail(Errc::invalid_argument, tree + " is not a Python environment",
                        "pack without --compile");
        return {};
    }
    const venv::Environment& environment = *around.environment;
    options.manifest_python = environment.python_version;
    options.manifest_python_home = environment.home;
    options.manifest_is_relocatable = environment.is_relocatable;
    SQUENV_TRY(check(io, around));
    if (!environment.library.empty()) options.measured_directory = environment.site_packages();
    return {};
}

tl::expected<pack::Report, pack::PackFailure> PackCommand::pack_other(const std::string& output,
                                                                      pack::Options& options,
                                                                      const pack::Verify& verify) {
    const auto failed = [](Error error) {
        return tl::unexpected(pack::PackFailure{std::move(error), {}});
    };
    if (!arguments_.archive().empty()) {
        const auto slash = output.rfind('/');
        const std::string directory =
            slash == std::string::npos ? "." : output.substr(0, slash + 1);
        auto source = pack::open_tar_source(arguments_.archive(), directory, options);
        if (!source) return failed(source.error());
        return pack::pack(**source, output, options, verify);
    }
    auto image = image::Image::open(arguments_.image());
    if (!image) return failed(image.error());
    const Status inherited = inherit_manifest(**image, options);
    if (!inherited) return failed(inherited.error());
    if (options.hot.empty()) {
        auto recorded = recorded_hot_items(**image);
        if (!recorded) return failed(recorded.error());
        if (options.has_appendix) options.hot = std::move(*recorded);
    }
    const auto source = repack::make_image_source(std::move(*image), options);
    return pack::pack(*source, output, options, verify);
}

/// What the first packer recorded stays true, unless the user says otherwise.
Status PackCommand::inherit_manifest(const image::Image& image, pack::Options& options) const {
    const auto read = [&image](std::uint64_t position, MutableBytes out) {
        return image.source().read_exact(position, out);
    };
    SQUENV_TRY_ASSIGN(const auto appendix, appendix::load(image.superblock().bytes_used,
                                                          image.source().size_bytes(), read));
    if (!appendix) return {};
    if (!arguments_.has_mount_point()) options.manifest_mount_point = appendix->manifest.mount_point;
    options.manifest_python = appendix->manifest.python_version;
    options.manifest_python_home = appendix->manifest.python_home;
    options.manifest_is_relocatable = appendix->manifest.is_relocatable;
    return {};
}

/// Runs `pack(options)` with a progress bar, until a signal stops it.
template <class Pack>
Result<pack::Report> PackCommand::watch(Io& io, const pack::Options& options, Pack&& pack) {
    pack::Options watched = options;
    ProgressBar bar(io.err);
    const bool is_terminal = &io.err == &std::cerr && ::isatty(STDERR_FILENO) == 1;
    if (is_terminal && !io.is_quiet)
        watched.progress = [&bar](const pack::Progress& progress) { bar.update(progress); };
    if (io.is_verbose && !io.is_quiet) {
        io.err << settings_line(options) << '\n';
        watched.pass_done = [&bar, &io](const pack::PassDone& done) {
            bar.clear();
            io.err << pass_line(done) << '\n';
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

Result<pack::Report> PackCommand::pack(Io& io, const std::string& output,
                                       const pack::Options& options) {
    const pack::Verify verify = arguments_.has_verify() ? repack::read_back : pack::Verify();
    return watch(io, options, [&](pack::Options& watched) {
        return arguments_.directory().empty()
                   ? pack_other(output, watched, verify)
                   : pack::pack_directory(arguments_.directory(), output, watched, verify,
                                          compiled_ ? compiled_->tree() : std::string());
    });
}

Result<pack::Report> PackCommand::pack_again(Io& io, const std::string& first,
                                             const std::string& output,
                                             const pack::Options& options) {
    SQUENV_TRY_ASSIGN(auto image, image::Image::open(first));
    const pack::Verify verify = arguments_.has_verify() ? repack::read_back : pack::Verify();
    return watch(io, options, [&](pack::Options& watched) {
        const auto source = repack::make_image_source(std::move(image), watched);
        return pack::pack(*source, output, watched, verify);
    });
}

/// Packs twice: for the command, then in the order in which it wanted things. The second time from
/// the first image, which cannot have changed meanwhile.
Result<pack::Report> PackCommand::pack_warm(Io& io, const std::string& output,
                                            pack::Options options, bool is_environment) {
    SQUENV_TRY(pack::check_output(output, options));
    const TemporaryFile first(unique_name(output + ".warm."));
    SQUENV_TRY_ASSIGN(const pack::Report report, pack(io, first.path(), options));
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(first.path()));
    SQUENV_TRY(inherit_manifest(*image, options));
    SQUENV_TRY_ASSIGN(const std::string tree, arguments_.tree());
    const std::string& mountpoint = tree.empty() ? options.manifest_mount_point : tree;
    if (mountpoint.empty())
        return fail(Errc::invalid_argument, "--warm: there is no directory to mount the image over",
                    "name it with --mount-point");
    SQUENV_TRY_ASSIGN(const auto trace,
                      record_command(first.path(), mountpoint, {arguments_.warm(), is_environment}));
    const auto touched = hot_items_of(trace);
    options.hot.insert(options.hot.end(), touched.begin(), touched.end());
    SQUENV_TRY_ASSIGN(pack::Report again, pack_again(io, first.path(), output, options));
    again.left_out = report.left_out;
    again.lost_xattrs = report.lost_xattrs;
    again.lost_xattr_example = report.lost_xattr_example;
    again.clamped_mtimes = report.clamped_mtimes;
    return again;
}

Status PackCommand::run(Io& io) {
    SQUENV_TRY_ASSIGN(pack::Options options, arguments_.options());
    SQUENV_TRY_ASSIGN(const std::string output, arguments_.output());
    Surroundings around;
    SQUENV_TRY(look_around(io, around, options));
    SQUENV_TRY_ASSIGN(options.hot, load_hot_items(arguments_.hot()));
    const bool is_environment = around.environment.has_value();
    SQUENV_TRY_ASSIGN(const pack::Report report,
                      arguments_.warm().empty() ? pack(io, output, options)
                                                : pack_warm(io, output, options, is_environment));
    warn(io, notes_of(report, io.is_verbose));
    if (arguments_.is_json())
        io.out << to_json(output, report, around)
                      .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
               << '\n';
    else if (!io.is_quiet)
        print_summary(io.out, output, report);
    return {};
}

}  // namespace

std::unique_ptr<Command> make_pack_command(const char* who) {
    return std::make_unique<PackCommand>(who);
}

}  // namespace squenv::cli
