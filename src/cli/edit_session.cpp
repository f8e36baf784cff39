// SPDX-License-Identifier: MIT
#include "cli/edit_session.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <sstream>
#include <utility>

#include "base/process.h"
#include "base/remote_error.h"
#include "base/shell_word.h"
#include "base/socket_message.h"
#include "base/text.h"
#include "cli/program_frame.h"
#include "cli/shell_prompt.h"
#include "edit/compile.h"
#include "edit/overlay.h"
#include "edit/place.h"
#include "edit/written.h"
#include "system/child_process.h"

namespace squenv::cli {

namespace {

constexpr const char* kEdit = "squenv edit";
constexpr char kEnded = 'e';
constexpr char kKilled = 'k';
/// Above the numbers that shells and scripts use.
constexpr int kFirstKeptDescriptor = 200;

/// Signals that this process passes on; SIGCHLD tells it of the command.
sigset_t handled_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD})
        ::sigaddset(&signals, signal);
    return signals;
}

/// Holds them back while it lives.
class HeldSignals {
  public:
    HeldSignals() {
        // With SIGCHLD ignored, as a caller may have left it, the end of a child is not reported.
        struct sigaction plain {};
        plain.sa_handler = SIG_DFL;
        ::sigaction(SIGCHLD, &plain, &child_before_);
        const sigset_t held = handled_signals();
        ::sigprocmask(SIG_BLOCK, &held, &before_);
    }
    HeldSignals(const HeldSignals&) = delete;
    HeldSignals& operator=(const HeldSignals&) = delete;
    ~HeldSignals() { restore(); }
    void restore() {
        ::sigprocmask(SIG_SETMASK, &before_, nullptr);
        ::sigaction(SIGCHLD, &child_before_, nullptr);
    }

  private:
    sigset_t before_{};
    struct sigaction child_before_ {};
};

/// Waits for `child`, with these signals held. One of the terminal has reached the child, too.
ProcessEnd wait_and_pass_on(pid_t child) {
    const sigset_t signals = handled_signals();
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child)
            return WIFSIGNALED(status) ? ProcessEnd{WTERMSIG(status), true}
                                       : ProcessEnd{WEXITSTATUS(status), false};
        if (ended < 0 && errno != EINTR) return {1, false};
        siginfo_t info{};
        const int signal = ::sigwaitinfo(&signals, &info);
        if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) ::kill(child, signal);
    }
}

/// The session does not outlive the process that would pack it. nohup(1) ignores SIGHUP.
void end_with_parent(pid_t parent) {
    struct sigaction hangup {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    const int signal = hangup.sa_handler == SIG_IGN ? SIGTERM : SIGHUP;
    ::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
    if (::getppid() != parent) ::raise(signal);
}

Result<std::vector<std::string>> words_of(const EditPlan& plan, const run::HeldMounts& held,
                                          Io& io) {
    if (!plan.command.empty()) return plan.command;
    return interactive_shell(plan.launch, held.placements, io);
}

/// Puts the environment at its path, writable, and moves there.
Result<run::HeldMounts> enter(const EditPlan& plan, int socket, Io& io) {
    run::HeldMounts held;
    const auto& image = plan.launch.images.front();
    auto hidden = plan.launch.inherited_fds;
    hidden.push_back(socket);
    if (plan.session.kind == edit::Kind::tree) {
        SQUENV_TRY_ASSIGN(
            held, edit::place_tree(image.wanted, plan.session, plan.hold, std::move(hidden)));
        SQUENV_TRY(enter_images(plan.launch, held, io));
        return held;
    }
    SQUENV_TRY_ASSIGN(held, run::obtain_mounts({image.wanted}, mount::Method::userns, hidden));
    const std::string mountpoint = held.placements.front().mountpoint;
    SQUENV_TRY(enter_images(plan.launch, held, io, [&] {
        return edit::mount_overlay(mountpoint, plan.session.layers());
    }));
    return held;
}

/// Runs in the process that becomes the command.
[[noreturn]] void become_command(const EditPlan& plan, const run::HeldMounts& held, pid_t parent,
                                 HeldSignals& signals, Io& io) {
    signals.restore();
    end_with_parent(parent);
    // A process that the command leaves running may go on writing: it has the session, too.
    (void)::fcntl(plan.hold.get(), F_DUPFD, kFirstKeptDescriptor);
    Status status;
    if (auto words = words_of(plan, held, io); words)
        status = become(plan.launch, *words);
    else
        status = tl::unexpected(words.error());
    (void)report(io, kEdit, status);
    io.err.flush();
    ::_exit(launch_status(true, status.error().code));
}

Result<bool> compile(const EditPlan& plan, const std::string& root) {
    const auto& request = plan.launch.images.front().wanted.request;
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(request.file, request.image));
    const std::string tree =
        plan.session.kind == edit::Kind::tree ? plan.session.tree() : plan.session.layers().upper;
    return edit::compile_written(root, tree, edit::written_files(plan.session, *image));
}

void complete(const EditPlan& plan, const std::string& root, Io& io) {
    const auto compiled = compile(plan, root);
    if (io.is_quiet) return;
    if (!compiled)
        io.err << kEdit << ": " << printable(compiled.error().message()) << '\n';
    else if (!*compiled)
        io.err << kEdit << ": some modules could not be compiled\n";
}

[[noreturn]] void run_session(int socket, const EditPlan& plan, pid_t parent, HeldSignals& outer,
                              Io& io) {
    // Daemons are to start as they do elsewhere.
    outer.restore();
    end_with_parent(parent);
    const auto held = enter(plan, socket, io);
    if (!held) {
        (void)send_message(socket, encode_error(held.error()));
        ::_exit(1);
    }
    const std::string program = plan.command.empty() ? std::string() : plan.command.front();
    if (const auto status = check_environments(plan.launch, *held, program, io); !status) {
        (void)report(io, kEdit, status);
        io.err.flush();
        (void)send_message(socket,
                           fmt::format("{}{}", kEnded, launch_status(true, Errc::not_found)));
        ::_exit(0);
    }
    io.err.flush();
    HeldSignals signals;
    const pid_t self = ::getpid();
    const pid_t command = ::fork();
    if (command == 0) become_command(plan, *held, self, signals, io);
    if (command < 0) {
        const int code = errno;
        (void)send_message(socket, encode_error(Error{errc_of(code), code, "fork", {}}));
        ::_exit(1);
    }
    const ProcessEnd end = wait_and_pass_on(command);
    if (end.shell_status() == 0 || (plan.command.empty() && !end.was_killed))
        complete(plan, held->placements.front().mountpoint, io);
    io.err.flush();
    (void)send_message(socket,
                       fmt::format("{}{}", end.was_killed ? kKilled : kEnded, end.shell_status()));
    ::_exit(0);
}

}  // namespace

Result<EditEnd> run_edit_session(const EditPlan& plan, Io& io,
                                 const std::function<void()>& meanwhile) {
    HeldSignals signals;
    const pid_t self = ::getpid();
    io.out.flush();
    io.err.flush();
    SQUENV_TRY_ASSIGN(auto child, system::fork_child([&](int socket) {
                          run_session(socket, plan, self, signals, io);
                      }));
    meanwhile();
    const ProcessEnd end = wait_and_pass_on(child.pid);
    // Its daemons may have the other end, so that nothing tells that there is no message.
    ::fcntl(child.socket.get(), F_SETFL, O_NONBLOCK);
    const auto message = receive_message(child.socket.get());
    if (!message || message->bytes.empty()) {
        // Signals that ask it to end do so only before the command is started.
        const bool was_asked = end.was_killed && end.status != SIGKILL;
        return EditEnd{end.was_killed ? end.shell_status() : 1, true, !was_asked};
    }
    if (auto error = decode_error(message->bytes)) return tl::unexpected(std::move(*error));
    const bool was_killed = message->bytes.front() == kKilled;
    return EditEnd{std::atoi(message->bytes.c_str() + 1), was_killed, false};
}

std::string command_line(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words)
        line += (line.empty() ? "" : " ") + quoted_if_needed(word);
    return line;
}

}  // namespace squenv::cli
