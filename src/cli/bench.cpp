// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "base/unique_fd.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/given_path.h"
#include "cli/image_list.h"
#include "cli/image_name.h"
#include "cli/manifest.h"
#include "cli/mounted_run.h"
#include "cli/stop_signal.h"
#include "cli/trace_report.h"
#include "cli/uenv_metadata.h"
#include "run/destination.h"
#include "system/mount_table.h"
#include "trace/trace.h"
#include "venv/interpreter.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr unsigned kMaxRounds = 1000;
constexpr std::size_t kReadSize = 1 << 20;

/// Reads the image, so that it is in the page cache; or asks the kernel to forget it.
Status settle_image(const std::string& path, bool is_cached) {
    SQUENV_TRY_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY));
    if (!is_cached) {
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
        return {};
    }
    const std::unique_ptr<char[]> buffer(new char[kReadSize]);
    while (::read(fd.get(), buffer.get(), kReadSize) > 0) {
    }
    return {};
}

bool has_entries(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
    if (!directory) return false;
    while (const dirent* entry = ::readdir(directory.get()))
        if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
            return true;
    return false;
}

class BenchCommand final : public Command {
  public:
    const char* name() const override { return "bench"; }
    const char* summary() const override { return "Time a command without and with the image"; }
    void declare(Options options) override {
        options.add("IMAGE", image_, "The image file").required();
        options.footer(
            "CMD begins after --, or with the first word after IMAGE that is no option.");
        options.add("--mount-point", mountpoint_, "Where; default: the recorded path")
            .type_name("PATH");
        options.add("-o", options_, "Mount options, see squenv-mount(1)").type_name("OPT,...");
        options.add("--rounds", rounds_, "How often everything is timed (5)")
            .type_name("N")
            .range(1U, kMaxRounds);
        options.add_flag("--json", is_json_, "Print a JSON object");
        options.add("--html", page_, "Write a page with plots").type_name("FILE");
    }
    std::vector<std::string>* remainder() override { return &command_; }
    const char* usage_tail() const override { return "-- CMD [ARG...]"; }
    const char* stray_word_hint() const override { return "write '--' before the command"; }
    Status run(Io& io) override;

  private:
    Status prepare();
    Status check_interpreter() const;
    Status count_operations();
    Status add_round(bool has_directory);
    /// Seconds of one run. Errors: invalid_argument when the command fails.
    Result<double> time();
    Status time_mounted(bool is_cached, BenchRow& cold, BenchRow* warm);

    std::string image_;
    std::vector<std::string> command_;
    std::string mountpoint_;
    std::string options_;
    std::string page_;
    unsigned rounds_ = 5;
    bool is_json_ = false;
    Program program_{};
    BenchReport report_{};
};

/// What the daemon has counted until now.
struct Counted {
    std::map<std::string, std::uint64_t> all{};     ///< requests by kind
    std::map<std::string, std::uint64_t> walker{};  ///< those of the tree walker among them
    std::uint64_t image_reads = 0;
};

Result<Counted> counted(const std::string& statistics) {
    const auto json = nlohmann::json::parse(statistics, nullptr, false);
    if (!json.is_object() || !json.contains("walker_requests_by_kind"))
        return fail(Errc::internal, "the daemon's answer is not JSON of this version");
    Counted counted;
    json.at("requests_by_kind").get_to(counted.all);
    json.at("walker_requests_by_kind").get_to(counted.walker);
    json.at("image_reads").get_to(counted.image_reads);
    return counted;
}

Result<double> BenchCommand::time() {
    const auto start = std::chrono::steady_clock::now();
    SQUENV_TRY_ASSIGN(const int status, run_to_end(program_));
    const double passed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (StopSignal::flag()) return fail(Errc::cancelled, "stopped on request");
    if (status != 0)
        return fail(Errc::invalid_argument,
                    fmt::format("'{}' ended with status {}", report_.command, status),
                    "give a command that works");
    return passed;
}

Status BenchCommand::time_mounted(bool is_cached, BenchRow& cold, BenchRow* warm) {
    SQUENV_TRY(settle_image(image_, is_cached));
    SQUENV_TRY_ASSIGN(auto mounted, Mounted::mount(image_, mountpoint_, options_));
    Counted before;
    for (BenchRow* row : {&cold, warm}) {
        if (row == nullptr) continue;
        SQUENV_TRY_ASSIGN(const double seconds, time());
        row->seconds.push_back(seconds);
        SQUENV_TRY_ASSIGN(const std::string text, mounted.statistics());
        SQUENV_TRY_ASSIGN(auto now, counted(text));
        row->requests.clear();
        row->walker_requests = 0;
        for (const auto& [kind, count] : now.all) {
            const std::uint64_t ahead = now.walker[kind] - before.walker[kind];
            row->walker_requests += ahead;
            if (const auto own = count - before.all[kind] - ahead; own != 0)
                row->requests[kind] = own;
        }
        row->image_reads = now.image_reads - before.image_reads;
        before = std::move(now);
    }
    return mounted.unmount();
}

/// Another Python than that of the image would be timed without a word.
Status BenchCommand::check_interpreter() const {
    if (program_.environment.empty() || !venv::is_interpreter_name(command_.front())) return {};
    const auto state = venv::inspect_interpreter(program_.environment);
    if (state.is_usable()) return {};
    return fail(Errc::not_found, command_.front() + ": " + image_ + ": " + state.finding,
                state.remedy);
}

/// The same run on a mount that does nothing ahead tells what the command asks for.
Status BenchCommand::count_operations() {
    const char* temporary = ::getenv("TMPDIR");
    const TemporaryFile file(
        fmt::format("{}/squenv-bench.{}", temporary != nullptr ? temporary : "/tmp", ::getpid()));
    std::string options = "record=" + escaped(file.path(), ",");
    if (!options_.empty()) options += ',' + options_;
    SQUENV_TRY_ASSIGN(auto mounted, Mounted::mount(image_, mountpoint_, options, {file.path()}));
    SQUENV_TRY(check_interpreter());
    SQUENV_TRY(time());
    SQUENV_TRY(mounted.unmount());
    SQUENV_TRY_ASSIGN(const auto trace, trace::load(file.path()));
    report_.metadata_operations = metadata_count(trace.requests);
    const TraceReport touched = count(trace);
    report_.files_read = touched.files_read;
    report_.bytes_read = touched.bytes_read;
    return {};
}

Status BenchCommand::prepare() {
    SQUENV_TRY_ASSIGN(const auto listed, parse_image_list(image_));
    if (listed.size() != 1)
        return fail(Errc::invalid_argument, image_ + ": several images", "time one of them");
    if (!listed.front().path.empty() && !mountpoint_.empty())
        return fail(Errc::invalid_argument, image_ + ": names a path, and so does --mount-point",
                    "leave one of them out");
    if (!listed.front().path.empty()) mountpoint_ = listed.front().path;
    SQUENV_TRY_ASSIGN(const std::string file, image_file(listed.front().image));
    SQUENV_TRY_ASSIGN(image_, versions::resolve(file));
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(image_));
    auto manifest = image->manifest();
    SQUENV_TRY_ASSIGN(mountpoint_, given_path(mountpoint_));
    if (mountpoint_.empty()) {
        if (const auto uenv = read_uenv_metadata(image_, *image); uenv && *uenv) {
            mountpoint_ = (*uenv)->mount;
        } else if (manifest && *manifest) {
            SQUENV_TRY_ASSIGN(mountpoint_, recorded_mountpoint(**manifest, ""));
        }
        if (!mountpoint_.empty())
            if (const auto status = run::check_recorded_destination(mountpoint_, mountpoint_);
                !status)
                return with_context(status.error(), image_);
    }
    if (mountpoint_.empty())
        return fail(Errc::invalid_argument, image_ + ": records no mount point",
                    "name one with --mount-point");
    SQUENV_TRY_ASSIGN(mountpoint_, system::canonical_mountpoint(mountpoint_));
    SQUENV_TRY_ASSIGN(const auto there, system::find_mount(mountpoint_));
    if (there && there->is_squenv())
        return fail(Errc::exists, mountpoint_ + ": an image is mounted here",
                    "unmount it first with 'squenv umount " + mountpoint_ + "'");
    program_.words = command_;
    program_.is_silent = true;
    const auto recorded = manifest ? *manifest : std::nullopt;
    if (environment_in(*image, recorded, "") != venv::EnvironmentKind::none)
        program_.environment = mountpoint_;
    report_.image = image_;
    report_.mountpoint = mountpoint_;
    report_.command = fmt::format("{}", fmt::join(command_, " "));
    report_.image_bytes = image->source().size_bytes();
    return {};
}

Status BenchCommand::add_round(bool has_directory) {
    auto row = report_.rows.begin();
    if (has_directory) {
        SQUENV_TRY_ASSIGN(const double seconds, time());
        (row++)->seconds.push_back(seconds);
    }
    SQUENV_TRY(time_mounted(false, row[0], nullptr));
    return time_mounted(true, row[1], &row[2]);
}

Status BenchCommand::run(Io& io) {
    if (command_.empty())
        return fail(Errc::invalid_argument, "no command to time",
                    "write squenv bench IMAGE -- COMMAND");
    SQUENV_TRY(prepare());
    const StopSignal stop;
    const bool has_directory = has_entries(mountpoint_);
    if (has_directory)
        report_.rows.push_back({"directory", "the tree itself, as the caches have it"});
    report_.rows.push_back(
        {"image from storage", "a fresh mount; the kernel was asked to forget the image file"});
    report_.rows.push_back({"image, fresh mount", "a fresh mount; the image file is in memory"});
    report_.rows.push_back({"image, again", "the same mount a second time"});
    SQUENV_TRY(count_operations());
    for (unsigned round = 0; round < rounds_; ++round) SQUENV_TRY(add_round(has_directory));
    if (!page_.empty()) SQUENV_TRY(write_text_file(page_, as_page(report_)));
    if (is_json_)
        io.out << as_json(report_) << '\n';
    else
        io.out << as_table(report_);
    return {};
}

}  // namespace

std::unique_ptr<Command> make_bench_command() {
    return std::make_unique<BenchCommand>();
}

}  // namespace squenv::cli
