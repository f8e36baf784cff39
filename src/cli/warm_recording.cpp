// SPDX-License-Identifier: MIT
#include "cli/warm_recording.h"

#include <fmt/core.h>

#include "base/text.h"
#include "cli/mounted_run.h"
#include "cli/stop_signal.h"

namespace squenv::cli {

namespace {

/// What the command wrote to `file`, unless it was stopped or failed.
Result<trace::Trace> recorded(const std::string& command, int status, const std::string& file) {
    if (StopSignal::flag())
        return fail(Errc::cancelled, "stopped on request; no image was written");
    if (status != 0)
        return fail(Errc::invalid_argument,
                    fmt::format("'{}' ended with status {}", command, status),
                    "nothing was packed; --warm needs a command that works");
    return trace::load(file);
}

}  // namespace

Result<trace::Trace> record_command(const std::string& image, const std::string& mountpoint,
                                    const WarmCommand& command) {
    const TemporaryFile file(image + ".trace");
    const StopSignal stop;
    auto mounted = Mounted::mount(image, mountpoint, "record=" + escaped(file.path(), ","),
                                  {image, file.path()});
    if (!mounted) {
        Error error = mounted.error();
        error.hint = "pack without --warm, or record where it can be mounted and use --hot";
        return tl::unexpected(std::move(error));
    }
    Program program{{"/bin/sh", "-c", command.command}};
    if (command.is_environment) program.environment = mountpoint;
    SQUENV_TRY_ASSIGN(const int status, run_to_end(program));
    SQUENV_TRY(mounted->unmount());
    return recorded(command.command, status, file.path());
}

Result<trace::Trace> record_run(const std::string& image, const std::string& at,
                                const std::string& command) {
    const TemporaryFile file(image + ".trace");
    const StopSignal stop;
    SQUENV_TRY_ASSIGN(const std::string squenv, squenv_program());
    Program program{{squenv, "run", "-q", "--record", file.path(),
                     escaped(image, ",:") + ':' + escaped(at, ",:"), "--", "/bin/sh", "-c",
                     command}};
    program.prints_as_errors = true;
    SQUENV_TRY_ASSIGN(const int status, run_to_end(program));
    return recorded(command, status, file.path());
}

}  // namespace squenv::cli
