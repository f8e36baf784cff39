// SPDX-License-Identifier: MIT
#include "create/build.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/process.h"
#include "base/remote_error.h"
#include "base/socket_message.h"
#include "system/child_process.h"

namespace squenv::create {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLookEveryMs = 50;
constexpr std::chrono::seconds kPatience{2};
/// Begins the message of a builder that is done; the numbers of steps that failed follow.
constexpr char kDone = 'd';

std::string_view name_of(std::string_view variable) {
    return variable.substr(0, variable.find('='));
}

bool has_name(const std::vector<std::string>& variables, std::string_view name) {
    return std::any_of(variables.begin(), variables.end(),
                       [&](const std::string& variable) { return name_of(variable) == name; });
}

void kill_group(int) {
    ::kill(0, SIGKILL);
}

void pass_over(int) {
}

/// The builder and its tools are a session of their own: a tool in the background of a terminal
/// would stop when it reads from that. They end with `parent`.
Status become_session(pid_t parent) {
    // A handler, unlike SIG_IGN, is not passed on to programs.
    for (const auto& [number, handler] :
         {std::pair{SIGTERM, &kill_group}, {SIGINT, &pass_over}, {SIGHUP, &pass_over}}) {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigaction(number, &action, nullptr);
    }
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0) return fail_errno(errno, "prctl");
    if (::getppid() != parent) kill_group(0);
    return {};
}

Status make_empty_files(const Plan& plan, const std::string& tree) {
    std::error_code error;
    for (const std::string& name : plan.empty_files) {
        const std::filesystem::path path = tree + '/' + name;
        std::filesystem::create_directories(path.parent_path(), error);
        if (!std::ofstream(path)) return fail_errno(errno, path.string());
    }
    return {};
}

/// Whether it did what it should; false for one that may fail.
Result<bool> run_step(const Step& step, int output) {
    ProgramStart program{step.words, variables_for(step, own_variables())};
    program.input = -1;
    program.output = program.errors = output;
    if (step.is_optional && ::access(step.words.front().c_str(), X_OK) != 0) return true;
    SQUENV_TRY_ASSIGN(const pid_t child, start_program(program));
    SQUENV_TRY_ASSIGN(const ProcessEnd end, wait_for(child));
    if (!end.was_killed && end.status == 0) return true;
    if (end.was_killed && end.status == SIGKILL)
        return fail(Errc::limit, step.name + ": was killed, as when memory is short",
                    "make the environment on a disk: --staging DIR");
    if (step.may_fail) return false;
    return fail(Errc::io, fmt::format("{} ended with status {}", step.name, end.shell_status()),
                "its own lines say why; nothing was made");
}

Result<std::string> run_steps(const Plan& plan, const BuildOptions& options) {
    // Programs that go on after the end of this one keep the staging directory from removal.
    ::fcntl(options.lock, F_SETFD, 0);
    std::string message(1, kDone);
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        SQUENV_TRY_ASSIGN(const bool is_done, run_step(plan.steps[i], options.output));
        if (!is_done) message += static_cast<char>(i);
    }
    return message;
}

Result<std::string> run_builder(const Plan& plan, const Staging& staging, const Place& place,
                                const BuildOptions& options, pid_t parent) {
    SQUENV_TRY(enter_place(place.placement(), staging.tree(), place.path()));
    // The kernel forgets it when a process gets the capabilities of a new namespace.
    SQUENV_TRY(become_session(parent));
    return run_steps(plan, options);
}

/// Less than this is no room: tools write blocks, and remove some of them when they fail.
bool is_full(const std::string& path) {
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) != 0) return false;
    constexpr std::uint64_t kBlocks = 16;
    return disk.f_bavail < kBlocks || (disk.f_files > 0 && disk.f_favail == 0);
}

struct Outcome {
    std::string message{};  ///< the builder's; "" when it died
    bool was_full = false;  ///< the staging directory had no room at some time
};

/// Ends everything that the builder started.
Outcome wait_for_builder(const system::ChildProcess& builder, const std::string& staging,
                         const std::atomic<bool>& cancel) {
    Outcome outcome;
    Clock::time_point told{};
    while (true) {
        pollfd waiting{builder.socket.get(), POLLIN, 0};
        const bool is_over = ::poll(&waiting, 1, kLookEveryMs) > 0;
        outcome.was_full = outcome.was_full || is_full(staging);
        if (is_over) break;
        if (!cancel) continue;
        if (told == Clock::time_point{} && ::kill(-builder.pid, SIGINT) == 0) told = Clock::now();
        if (told != Clock::time_point{} && Clock::now() - told > kPatience)
            ::kill(-builder.pid, SIGKILL);
    }
    const auto message = receive_message(builder.socket.get());
    ::kill(-builder.pid, SIGKILL);
    system::reap(builder.pid);
    if (message) outcome.message = message->bytes;
    return outcome;
}

}  // namespace

std::vector<std::string> variables_for(const Step& step, const std::vector<std::string>& own) {
    const auto& misleading = misleading_variables();
    std::vector<std::string> variables;
    for (const std::string& variable : own) {
        const std::string_view name = name_of(variable);
        if (!has_name(step.variables, name) &&
            std::find(misleading.begin(), misleading.end(), name) == misleading.end())
            variables.push_back(variable);
    }
    for (const std::string& variable : default_variables())
        if (!has_name(variables, name_of(variable))) variables.push_back(variable);
    variables.insert(variables.end(), step.variables.begin(), step.variables.end());
    return variables;
}

Result<std::vector<std::string>> build(const Plan& plan, const Staging& staging, const Place& place,
                                       const BuildOptions& options,
                                       const std::atomic<bool>& cancel) {
    SQUENV_TRY(make_empty_files(plan, staging.tree()));
    const pid_t parent = ::getpid();
    SQUENV_TRY_ASSIGN(const auto builder, system::fork_child([&](int socket) {
                          ::setsid();
                          const auto message = run_builder(plan, staging, place, options, parent);
                          (void)send_message(socket,
                                             message ? *message : encode_error(message.error()));
                          ::_exit(0);
                      }));
    const auto [message, was_full] = wait_for_builder(builder, staging.path(), cancel);
    if (cancel) return fail(Errc::cancelled, "stopped on request; no image was written");
    if (message.empty())
        return fail(Errc::internal, "the process that makes the environment was killed");
    auto error = decode_error(message);
    if (error && was_full)
        return fail(Errc::limit, error->context + ": there was no space left in " + staging.path(),
                    "name a directory with more room: --staging DIR");
    if (error) return tl::unexpected(std::move(*error));
    std::vector<std::string> failed;
    for (const char index : message.substr(1))
        failed.push_back(plan.steps[static_cast<std::size_t>(index)].name);
    return failed;
}

}  // namespace squenv::create
