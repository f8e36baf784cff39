// SPDX-License-Identifier: MIT
#include "extract/extract.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <ostream>

#include "base/memory.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/finding_lines.h"
#include "cli/image_argument.h"
#include "cli/stop_signal.h"

namespace squenv::cli {

namespace {

/// What differs from the image although nothing is missing.
void tell_losses(Io& io, const extract::ExtractReport& report) {
    const auto tell = [&io](std::uint64_t count, const char* what) {
        if (count != 0 && !io.is_quiet)
            io.err << fmt::format("squenv extract: {} {}\n", count, what);
    };
    tell(report.left_owners, "owners could not be set here; --no-owner does not try");
    tell(report.lost_privileges, "files lost setuid or setgid, which root alone can restore");
    tell(report.skipped_xattrs, "extended attributes could not be set here");
}

bool is_damage(const Error& error) {
    return error.code == Errc::corrupt;
}

/// What ends an extraction has one reason, whatever was tried.
bool is_of_all(const Error& error) {
    return error.sys_errno == ENOSPC || error.sys_errno == EDQUOT || error.sys_errno == EROFS;
}

/// A line for each damaged object of the image. What the target refuses is refused for many.
void tell_errors(Io& io, const extract::ExtractReport& report) {
    std::vector<Error> damage;
    std::vector<Fault> refusals;
    for (const auto& [path, error] : report.errors) {
        Error reason = error;
        if (is_of_all(error)) reason.context.clear();
        if (is_damage(error))
            damage.push_back(ObjectError{path, error}.joined());
        else
            refusals.push_back({path, reason.message()});
    }
    for (const std::string& line : finding_lines(refusals, io.is_verbose))
        io.err << "squenv extract: " << line << '\n';
    print_errors(io, "squenv extract", damage, report.error_count - refusals.size());
}

/// The exit status is 3 when the image is damaged, else 1: the command line was right.
Status missing(const std::string& target, const extract::ExtractReport& report) {
    const bool is_damaged =
        std::any_of(report.errors.begin(), report.errors.end(),
                    [](const ObjectError& one) { return is_damage(one.error); });
    return fail(
        is_damaged ? Errc::corrupt : Errc::io,
        fmt::format("{}: {} objects are missing or incomplete", target, report.error_count),
        is_damaged ? "'squenv verify' lists all damage" : "mend what is named, then add --force");
}

/// Why it ended before the image did, if it did.
Status ended(const std::string& target, const extract::ExtractReport& report) {
    if (report.is_cancelled)
        return fail(Errc::cancelled,
                    fmt::format("{}: stopped after {} objects", target, report.objects),
                    "--force goes over it again");
    if (report.is_full)
        return fail(Errc::limit,
                    fmt::format("{}: ended after {} objects, there is no room for more", target,
                                report.objects),
                    "free some space, or choose another directory");
    if (report.is_read_only)
        return fail(Errc::denied,
                    fmt::format("{}: ended after {} objects, its file system is read-only", target,
                                report.objects),
                    "choose another directory");
    return {};
}

class ExtractCommand final : public Command {
  public:
    const char* name() const override { return "extract"; }
    const char* summary() const override { return "Unpack an image into a directory"; }
    void declare(Options options) override {
        image_.declare(options);
        options.add("DIR", target_, "Where to; default: squashfs-root")
            .each([this](const std::string&) { is_given_ = true; });
        options.add("--path", path_, "Only what is below PATH of the image").type_name("PATH");
        options.add_flag("-f,--force", options_.overwrite, "Into a directory that has content");
        options.add_flag(
            "--no-xattrs", [this] { options_.xattrs = false; }, "Leave extended attributes out");
        options.add_flag(
            "--no-owner", [this] { options_.owners = false; }, "As root: do not restore owners");
        options.add("-j,--jobs", options_.threads, "Threads; default: all processors")
            .type_name("N")
            .range(1, 256);
    }
    Status run(Io& io) override {
        return with_memory_errors(target_, [&] { return extract(io); });
    }

  private:
    Status extract(Io& io) {
        SQUENV_TRY_ASSIGN(const auto image, image_.open());
        SQUENV_TRY_ASSIGN(const auto start, image->resolve(path_));
        if (!start.is_directory())
            return fail(Errc::invalid_argument, path_ + ": not a directory",
                        "'squenv cat' prints single files");
        const StopSignal stop;
        options_.cancel = &StopSignal::flag();
        SQUENV_TRY_ASSIGN(const auto report,
                          extract::extract_tree(*image, start, target_, options_));
        tell_errors(io, report);
        tell_losses(io, report);
        if (io.is_verbose)
            io.err << fmt::format("squenv extract: {} objects, {}\n", report.objects,
                                  format_size(report.bytes));
        SQUENV_TRY(ended(target_, report));
        if (!report.errors.empty()) return missing(target_, report);
        if (!is_given_ && !io.is_quiet)
            io.err << fmt::format("squenv extract: the content is in {}\n", target_);
        return {};
    }

    ImageArgument image_;
    std::string target_ = "squashfs-root";
    bool is_given_ = false;
    std::string path_;
    extract::ExtractOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_extract_command() {
    return std::make_unique<ExtractCommand>();
}

}  // namespace squenv::cli
