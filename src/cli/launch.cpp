// SPDX-License-Identifier: MIT
#include "cli/launch.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ostream>
#include <utility>

#include "base/environment.h"
#include "base/inherited_fds.h"
#include "base/process.h"
#include "base/process_limits.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "cli/fast_import.h"
#include "cli/image_argument.h"
#include "cli/mount_options.h"
#include "cli/recording_notice.h"
#include "cli/refused_program.h"
#include "system/mount_table.h"
#include "venv/interpreter.h"

namespace squenv::cli {

namespace {

/// The mounts of this process, in the form that the command line takes.
constexpr const char* kMountsVariable = "SQUENV_MOUNTS";

Status check_variables(const std::vector<std::string>& assignments) {
    for (const auto& assignment : assignments)
        if (const auto equals = assignment.find('='); equals == 0 || equals == std::string::npos)
            return fail(Errc::invalid_argument, "--env " + assignment + ": not NAME=VALUE",
                        "write --env NAME=VALUE");
    return {};
}

void set_variables(const std::vector<std::string>& assignments) {
    for (const auto& assignment : assignments) {
        const auto equals = assignment.find('=');
        ::setenv(assignment.substr(0, equals).c_str(), assignment.substr(equals + 1).c_str(), 1);
    }
}

/// IMAGE:PATH in the form that the command line takes.
std::string listed(const std::string& image, const std::string& path) {
    return escaped(image, ",:") + ':' + escaped(path, ",:");
}

/// Refuses options that only make sense for a mount that stays.
Status check_mount_options(const daemon::Request& request) {
    const char* name = request.trace                       ? "debug"
                       : request.idle_timeout.count() != 0 ? "timeout"
                       : !request.notify_pipe.empty()      ? "notify_pipe"
                                                           : nullptr;
    if (name == nullptr) return {};
    return fail(Errc::invalid_argument,
                std::string("option ") + name + ": the mount lives as long as the command",
                "leave it out, or use 'squenv mount'");
}

/// An overlay can only be put above a mount in a namespace.
Status choose_namespace(mount::Method& via) {
    if (via != mount::Method::automatic && via != mount::Method::userns)
        return fail(Errc::invalid_argument,
                    fmt::format("option overlay=on: not with --via {}", mount::method_name(via)),
                    "use --via userns");
    via = mount::Method::userns;
    return {};
}

std::string joined(const std::string& first, const std::string& second) {
    return first.empty() || second.empty() ? first + second : first + ',' + second;
}

/// Tells programs of the session, when it has a uenv in it: other images alone are none.
void set_session(const SessionViews& views, const std::vector<std::string>& image_paths,
                 const std::vector<std::string>& roots, view::Variables& variables) {
    if (!views.has_uenv) return;
    const UenvSession outer = present_session();
    const UenvSession own = uenv_session(image_paths, roots, views);
    variables["UENV_MOUNT_LIST"] = joined(outer.mounts, own.mounts);
    variables["UENV_VIEW"] = joined(outer.views, own.views);
}

/// Sets the views and the environments in this process. Errors: limit.
Status activate(const Launch& launch, const std::vector<run::Placement>& placements, Io& io) {
    std::vector<std::string> roots;
    std::vector<std::string> image_paths;
    std::string mounts;
    for (const auto& placement : placements) {
        roots.push_back(placement.mountpoint);
        image_paths.push_back(placement.image);
        mounts = joined(mounts, listed(placement.image, placement.mountpoint));
    }
    SQUENV_TRY_ASSIGN(auto applied,
                      session_variables(launch.images, roots, launch.views, process_variables()));
    view::Variables& variables = applied.variables;
    variables[kMountsVariable] = joined(mounts, environment_variable(kMountsVariable));
    set_session(launch.views, image_paths, roots, variables);
    set_process_variables(variables);
    std::vector<std::string> notes = launch.views.notes;
    notes.insert(notes.end(), applied.notes.begin(), applied.notes.end());
    if (!io.is_quiet)
        for (const std::string& note : notes) io.err << "squenv: " << printable(note) << '\n';
    return {};
}

/// It only saves time, so a run does without it.
void hasten_imports(Io& io) {
    const Status status = set_fast_import();
    if (status || io.is_quiet) return;
    io.err << fmt::format("squenv: --fast-import: {}; modules are read as usual\n",
                          printable(status.error().message()));
}

/// The advice for an environment that lies deeper in an image, when no image is one itself; or "".
std::string inner_hint(const Launch& launch) {
    for (const auto& image : launch.images)
        if (image.kind != venv::EnvironmentKind::none) return {};
    for (const auto& image : launch.images)
        if (const std::string& inner = image.inner_environment; !inner.empty())
            return fmt::format(
                "the environment {} in {} is not activated: add -o subdir={} to have "
                "that alone, or name its programs with their path",
                inner, image.wanted.request.image_path, inner);
    return {};
}

bool has_overlay(const run::Placement& placement) {
    const auto entry = system::find_mount(placement.mountpoint);
    return entry && *entry && (*entry)->overlay_minor != 0;
}

void tell(const std::vector<run::Placement>& placements, Io& io) {
    for (const auto& placement : placements) {
        if (io.is_verbose)
            io.err << fmt::format("squenv: {} is at {} ({}{}){}\n", printable(placement.image),
                                  printable(placement.mountpoint), method_name(placement.method),
                                  placement.is_new ? "" : ", joined",
                                  has_overlay(placement) ? ", with an overlay above" : "");
        if (!placement.note.empty() && !io.is_quiet)
            io.err << fmt::format("squenv: {}: {}\n", printable(placement.image),
                                  printable(placement.note));
    }
}

/// Warns of environments whose Python is not on this machine; fails when `program` is meant to be
/// the one of the first.
Status check_interpreters(const Launch& launch, const std::vector<run::Placement>& placements,
                          const std::string& program, Io& io) {
    const bool is_interpreter = venv::is_interpreter_name(program);
    bool is_first = true;
    for (std::size_t i = 0; i < launch.images.size(); ++i) {
        if (launch.images[i].kind == venv::EnvironmentKind::none) continue;
        const auto& placement = placements[i];
        const auto state = venv::inspect_interpreter(placement.mountpoint);
        const bool is_meant = std::exchange(is_first, false) && is_interpreter;
        if (state.is_usable()) continue;
        if (is_meant)
            return fail(Errc::not_found,
                        fmt::format("{}: {}: {}", program, placement.image, state.finding),
                        state.remedy);
        if (!io.is_quiet)
            io.err << fmt::format("squenv: {}: {}; {}\n", printable(placement.image),
                                  printable(state.finding), state.remedy);
    }
    return {};
}

}  // namespace

void LaunchOptions::declare(Options options) {
    options.add("IMAGES", images, "IMAGE[:PATH][,IMAGE[:PATH]...]").required();
    options.add("--via", via, "auto, direct, fusermount, userns, extract").type_name("METHOD");
    options.add("--env", variables, "Set a variable; may be repeated")
        .type_name("NAME=VALUE")
        .one_value_each();
    options.add("-o", mount_options, "Mount options, see squenv-mount(1)")
        .type_name("OPT,...")
        .one_value_each();
    options.add("--record", record, "Write what was touched there at the end").type_name("FILE");
    options.add_flag("--force", force, "Also at another path than it was made for");
    options.add_flag("--fast-import", has_fast_import,
                     "Faster imports: no module is asked for a terminal");
    views.declare(options);
}

Result<Launch> prepare_launch(const LaunchOptions& options, const Io& io) {
    Launch launch;
    for (int fd = 0; fd <= 2; ++fd)
        if (::fcntl(fd, F_GETFD) < 0) launch.closed.push_back(fd);
    guard_standard_fds();
    launch.inherited_fds = inherited_descriptors();
    launch.variables = options.variables;
    launch.has_fast_import = options.has_fast_import;
    SQUENV_TRY(check_variables(options.variables));
    daemon::Request base;
    for (const auto& text : options.mount_options) SQUENV_TRY(apply_mount_options(text, base));
    SQUENV_TRY(check_mount_options(base));
    if (io.is_verbose) base.log_level = log::Level::debug;
    if (io.is_quiet) base.log_level = log::Level::error;
    SQUENV_TRY_ASSIGN(launch.via, mount::parse_method(options.via));
    if (base.overlay == daemon::Overlay::on) SQUENV_TRY(choose_namespace(launch.via));
    auto list = options.listed;
    if (list.empty()) {
        SQUENV_TRY_ASSIGN(list, parse_image_list(options.images));
    }
    if (!options.record.empty()) base.record_path = options.record;
    if (!base.record_path.empty() && list.size() > 1)
        return fail(Errc::invalid_argument, "--record: a trace is of one image",
                    "run with that image alone");
    if (!base.record_path.empty()) {
        SQUENV_TRY_ASSIGN(launch.recording_notice,
                          start_recording_notice(base.record_path, io.is_quiet));
        base.recording_notice = launch.recording_notice.get();
    }
    SQUENV_TRY_ASSIGN(launch.images, resolve_images(list, base, options.force));
    SQUENV_TRY_ASSIGN(launch.views, session_views(launch.images, options.views));
    return launch;
}

bool is_active_already(const Launch& launch) {
    const std::string active = ',' + environment_variable(kMountsVariable) + ',';
    return std::all_of(launch.images.begin(), launch.images.end(), [&](const auto& image) {
        const auto& request = image.wanted.request;
        const auto path = system::canonical_mountpoint(request.mountpoint);
        if (active.find(',' + listed(request.image_path, path.value_or("")) + ',') ==
            std::string::npos)
            return false;
        // A batch system passes the variable on to other nodes, where nothing is mounted.
        const auto entry = system::find_mount(path.value_or(""));
        return entry && *entry && (*entry)->source == request.image_path &&
               (*entry)->is_trusted_by(::geteuid());
    });
}

Result<run::HeldMounts> hold_images(const Launch& launch, Io& io) {
    std::vector<run::Wanted> wanted;
    for (const auto& image : launch.images) wanted.push_back(image.wanted);
    SQUENV_TRY_ASSIGN(auto held, run::obtain_mounts(wanted, launch.via, launch.inherited_fds));
    SQUENV_TRY(enter_images(launch, held, io));
    return held;
}

Status enter_images(const Launch& launch, run::HeldMounts& held, Io& io,
                    const std::function<Status()>& inside) {
    SQUENV_TRY(activate(launch, held.placements, io));
    set_variables(launch.variables);
    if (launch.has_fast_import) hasten_imports(io);
    return held.settle(inside);
}

Status check_environments(const Launch& launch, const run::HeldMounts& held,
                          const std::string& program, Io& io) {
    const Status status = check_interpreters(launch, held.placements, program, io);
    tell(held.placements, io);
    SQUENV_TRY(status);
    if (io.is_quiet || !(program.empty() || venv::is_interpreter_name(program))) return {};
    if (const auto hint = inner_hint(launch); !hint.empty())
        io.err << "squenv: " << printable(hint) << '\n';
    return {};
}

Status become(const Launch& launch, const std::vector<std::string>& command) {
    for (const int fd : launch.closed) ::close(fd);
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    restore_file_size_signal();
    ::execvp(words[0], words.data());
    return tl::unexpected(refused_program(errno, command.front(), inner_hint(launch)));
}

int launch_status(bool has_provided, Errc code) {
    if (!has_provided) return 125;
    return code == Errc::not_found ? 127 : 126;
}

}  // namespace squenv::cli
