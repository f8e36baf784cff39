// SPDX-License-Identifier: MIT
#include "mount/subprocess.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include "base/unique_fd.h"

namespace squenv::mount {

namespace {

constexpr std::size_t kMaxErrorText = 4096;

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> result;
    for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void run_child(char* const* arguments, char* const* environment, int null_fd,
                            int errors_fd, int kept_fd) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(null_fd, 0) < 0 || ::dup2(null_fd, 1) < 0 || ::dup2(errors_fd, 2) < 0) ::_exit(127);
    if (kept_fd >= 0 && ::fcntl(kept_fd, F_SETFD, 0) != 0) ::_exit(127);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

/// Where SIGCHLD is ignored, and a caller may have left it so, no exit status can be had.
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
    if (child < 0) return fail_errno(errno, "fork");
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

Result<std::string> find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream directories(std::string(path != nullptr ? path : "") +
                                   ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    for (std::string directory; std::getline(directories, directory, ':');) {
        if (!directory.starts_with('/')) continue;
        std::string candidate = directory + '/' + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return fail(Errc::environment, name + " is not installed",
                "install it with 'apt install fuse3' or 'dnf install fuse3'");
}

}  // namespace squenv::mount
