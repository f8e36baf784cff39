// SPDX-License-Identifier: MIT
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/environment.h"
#include "base/file_io.h"
#include "base/process_limits.h"
#include "base/unique_fd.h"

namespace squenv {

namespace {

/// A signal that comes just before poll(2) is seen so much later.
constexpr int kLookEveryMs = 100;

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> list;
    // posix_spawn(3) takes them without const and changes nothing.
    for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
    list.push_back(nullptr);
    return list;
}

/// What posix_spawn(3) does between fork and exec. Its functions return errno values, of which the
/// first is kept.
class SpawnSettings {
  public:
    SpawnSettings() {
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawn_file_actions_init(&actions_);
        if (!has_taken_file_size_signal()) return;
        sigset_t back;
        ::sigemptyset(&back);
        ::sigaddset(&back, SIGXFSZ);
        keep(::posix_spawnattr_setsigdefault(&attributes_, &back));
        add_flag(POSIX_SPAWN_SETSIGDEF);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    void make_group() {
        add_flag(POSIX_SPAWN_SETPGROUP);
        keep(::posix_spawnattr_setpgroup(&attributes_, 0));
    }
    void connect(int descriptor, int standard) {
        if (descriptor < 0)
            keep(::posix_spawn_file_actions_addopen(&actions_, standard, "/dev/null", O_RDWR, 0));
        else if (descriptor != standard)
            keep(::posix_spawn_file_actions_adddup2(&actions_, descriptor, standard));
    }
    /// Errors: those of posix_spawn(3), without a context.
    [[nodiscard]] Result<pid_t> spawn(const std::string& path,
                                      const std::vector<std::string>& words,
                                      const std::vector<std::string>& variables) {
        pid_t child = -1;
        if (error_ == 0)
            error_ = ::posix_spawn(&child, path.c_str(), &actions_, &attributes_,
                                   pointers(words).data(), pointers(variables).data());
        if (error_ != 0) return fail_errno(error_, "");
        return child;
    }

  private:
    void keep(int error) {
        if (error_ == 0) error_ = error;
    }
    void add_flag(int flag) {
        flags_ |= flag;
        keep(::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags_)));
    }

    posix_spawnattr_t attributes_;
    posix_spawn_file_actions_t actions_;
    int flags_ = 0;
    int error_ = 0;
};

ProcessEnd end_of(int status) {
    if (WIFEXITED(status)) return {WEXITSTATUS(status), false};
    return {WTERMSIG(status), true};
}

}  // namespace

std::string search_path() {
    if (std::getenv("PATH") != nullptr) return environment_variable("PATH");
    std::string path(::confstr(_CS_PATH, nullptr, 0), '\0');
    ::confstr(_CS_PATH, path.data(), path.size());
    while (path.ends_with('\0')) path.pop_back();
    return path;
}

std::string find_program(const std::string& name, std::string_view path, int mode) {
    if (name.empty()) return {};
    if (name.find('/') != std::string::npos)
        return ::access(name.c_str(), mode) == 0 ? name : std::string();
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        const std::string directory(path.substr(begin, end - begin));
        std::string candidate = (directory.empty() ? "." : directory) + '/' + name;
        if (::access(candidate.c_str(), mode) == 0) return candidate;
        begin = end + 1;
    }
    return {};
}

std::vector<std::string> own_variables() {
    std::vector<std::string> all;
    for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
    return all;
}

std::map<std::string, std::string> process_variables() {
    std::map<std::string, std::string> variables;
    for (const std::string& text : own_variables())
        if (const auto equals = text.find('='); equals != std::string::npos && equals > 0)
            variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    return variables;
}

Result<pid_t> start_program(const ProgramStart& program) {
    SpawnSettings settings;
    if (program.has_own_group) settings.make_group();
    settings.connect(program.errors, STDERR_FILENO);
    settings.connect(program.output, STDOUT_FILENO);
    settings.connect(program.input, STDIN_FILENO);
    const std::string& name = program.words.front();
    const auto child = settings.spawn(program.path.empty() ? name : program.path, program.words,
                                      program.variables);
    if (!child) return with_context(child.error(), name);
    return child;
}

Result<ProcessEnd> wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail_errno(errno, "waitpid");
    return end_of(status);
}

Result<ProcessEnd> wait_for(pid_t child, const std::atomic<bool>& cancel) {
    // Linux 5.3. poll(2) passes over what is not there, and then only waits.
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    bool is_told = false;
    int status = 0;
    for (;;) {
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child) return end_of(status);
        if (ended < 0 && errno != EINTR) return fail_errno(errno, "waitpid");
        if (cancel && !is_told) {
            ::kill(-child, SIGTERM);
            is_told = true;
        }
        pollfd end{process.get(), POLLIN, 0};
        ::poll(&end, 1, kLookEveryMs);
    }
}

Result<Captured> capture(ProgramStart program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    program.output = writer.get();
    SQUENV_TRY_ASSIGN(const pid_t child, start_program(program));
    writer.reset();
    Captured captured;
    captured.output = read_to_end(reader.get()).value_or("");
    SQUENV_TRY_ASSIGN(captured.end, wait_for(child));
    return captured;
}

}  // namespace squenv
