// SPDX-License-Identifier: MIT
#include "system/subprocess.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/process_limits.h"
#include "base/unique_fd.h"

namespace squenv::system {

namespace {

constexpr std::size_t kMaxErrorText = 4096;

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> result;
    for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

/// Leaves `kept_fd` open and closes all others above the standard ones. A kernel before 5.9 cannot.
/// The helper, which ends soon, then inherits what callers left open.
void close_all_but(int kept_fd) {
    constexpr unsigned kFirst = 3;
    if (kept_fd < static_cast<int>(kFirst)) {
        ::close_range(kFirst, ~0U, 0);
        return;
    }
    const auto kept = static_cast<unsigned>(kept_fd);
    if (kept > kFirst) ::close_range(kFirst, kept - 1, 0);
    ::close_range(kept + 1, ~0U, 0);
}

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void run_child(char* const* arguments, char* const* environment, int null_fd,
                            int errors_fd, int kept_fd) {
    // Covers signals that the caller ignores: a helper that ignores SIGCHLD cannot wait for its
    // own.
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(null_fd, 0) < 0 || ::dup2(null_fd, 1) < 0 || ::dup2(errors_fd, 2) < 0) ::_exit(127);
    if (kept_fd >= 0 && ::fcntl(kept_fd, F_SETFD, 0) != 0) ::_exit(127);
    close_all_but(kept_fd);
    ::umask(022);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

/// With SIGCHLD ignored, as a caller may have left it, no exit status is available.
class ChildSignalDefault {
  public:
    ChildSignalDefault() {
        struct sigaction plain {};
        plain.sa_handler = SIG_DFL;
        ::sigaction(SIGCHLD, &plain, &before_);
    }
    ChildSignalDefault(const ChildSignalDefault&) = delete;
    ChildSignalDefault& operator=(const ChildSignalDefault&) = delete;
    ~ChildSignalDefault() { ::sigaction(SIGCHLD, &before_, nullptr); }

  private:
    struct sigaction before_ {};
};

std::string read_all(int fd) {
    std::string text;
    std::array<char, 512> part;
    for (;;) {
        const ssize_t got = ::read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        if (text.size() < kMaxErrorText) text.append(part.data(), static_cast<std::size_t>(got));
    }
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace

Result<SubprocessResult> run_subprocess(const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& environment, int kept_fd) {
    std::vector<std::string> variables{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
    variables.insert(variables.end(), environment.begin(), environment.end());
    const auto argument_list = pointers(arguments);
    const auto variable_list = pointers(variables);
    SQUENV_TRY_ASSIGN(const auto null, open_file("/dev/null", O_RDWR));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const ChildSignalDefault waits_for_children;
    const pid_t child = ::fork();
    if (child < 0) return fail_fork(errno);
    if (child == 0)
        run_child(argument_list.data(), variable_list.data(), null.get(), writer.get(), kept_fd);
    writer.reset();
    SubprocessResult result;
    result.errors = read_all(reader.get());
    while (::waitpid(child, &result.exit_status, 0) < 0)
        if (errno != EINTR) return fail_errno(errno, arguments[0] + ": its exit status");
    if (WIFEXITED(result.exit_status) && WEXITSTATUS(result.exit_status) == 127 &&
        result.errors.empty())
        return fail(Errc::environment, arguments[0] + ": cannot be started");
    return result;
}

}  // namespace squenv::system
