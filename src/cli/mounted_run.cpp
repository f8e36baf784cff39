// SPDX-License-Identifier: MIT
#include "cli/mounted_run.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>
#include <string_view>
#include <utility>

#include "base/file_io.h"
#include "base/unique_fd.h"
#include "venv/activation.h"

extern char** environ;

namespace squenv::cli {

namespace {

using Words = std::vector<std::string>;

constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

std::vector<char*> pointers(Words& words) {
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
}

using Variables = std::map<std::string, std::string>;

/// Ours, with `environment` activated unless that is "".
Variables variables_of(const std::string& environment) {
    Variables variables{{"PATH", kDefaultPath}};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string text = *variable;
        const auto equals = text.find('=');
        if (equals != std::string::npos)
            variables[text.substr(0, equals)] = text.substr(equals + 1);
    }
    if (environment.empty()) return variables;
    const auto kind = venv::environment_kind_at(environment) == venv::EnvironmentKind::conda
                          ? venv::EnvironmentKind::conda
                          : venv::EnvironmentKind::venv;
    for (const auto& change : venv::activation(environment, variables["PATH"], kind)) {
        if (change.is_removed)
            variables.erase(change.name);
        else if (change.is_default)
            variables.emplace(change.name, change.value);
        else
            variables[change.name] = change.value;
    }
    return variables;
}

/// Where execvp(3) would find `name` by `path`.
std::string find(const std::string& name, std::string_view path) {
    if (name.find('/') != std::string::npos) return name;
    while (!path.empty()) {
        const std::string directory(path.substr(0, path.find(':')));
        path.remove_prefix(std::min(path.size(), directory.size() + 1));
        std::string candidate = (directory.empty() ? "." : directory) + '/' + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return name;
}

/// `output` is the standard output of the program, or -1 for our own.
Result<pid_t> start(const Program& program, int output) {
    Words words = program.words;
    const Variables variables = variables_of(program.environment);
    const std::string path = find(words.front(), variables.at("PATH"));
    Words settings;
    for (const auto& [name, value] : variables) settings.push_back(name + '=' + value);
    auto arguments = pointers(words);
    auto environment = pointers(settings);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (program.is_silent)
        ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = -1;
    const int code = ::posix_spawn(&child, path.c_str(), &actions, nullptr, arguments.data(),
                                   environment.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return fail_errno(code, words.front());
    return child;
}

Result<int> wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail_errno(errno, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TemporaryFile::~TemporaryFile() {
    ::unlink(path_.c_str());
}

Result<int> run_to_end(const Program& program) {
    SQUENV_TRY_ASSIGN(const pid_t child, start(program, -1));
    return wait_for(child);
}

Result<std::string> output_of(const Program& program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    SQUENV_TRY_ASSIGN(const pid_t child, start(program, writer.get()));
    writer.reset();
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
        const ssize_t got = ::read(reader.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    SQUENV_TRY_ASSIGN(const int status, wait_for(child));
    if (status != 0) return fail(Errc::environment, program.words.front() + " failed");
    return text;
}

Result<std::string> squenv_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    if (size < 0) return fail_errno(errno, "/proc/self/exe");
    const std::string self(path.data(), static_cast<std::size_t>(size));
    const std::string program = self.substr(0, self.rfind('/') + 1) + "squenv";
    if (::access(program.c_str(), X_OK) != 0)
        return fail_errno(errno, program, "images are mounted with it");
    return program;
}

Status write_text_file(const std::string& path, const std::string& text) {
    SQUENV_TRY_ASSIGN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0666));
    if (const auto status = write_all(fd.get(), as_bytes(text)); !status)
        return with_context(status.error(), path);
    if (::close(fd.release()) != 0) return fail_errno(errno, path);
    return {};
}

Result<Mounted> Mounted::mount(const std::string& image, const std::string& mountpoint,
                               const std::string& options) {
    SQUENV_TRY_ASSIGN(const std::string program, squenv_program());
    Program command{{program, "mount", "-q"}};
    if (!options.empty()) command.words.insert(command.words.end(), {"-o", options});
    command.words.insert(command.words.end(), {"--", image, mountpoint});
    SQUENV_TRY_ASSIGN(const int status, run_to_end(command));
    if (status != 0)
        return fail(Errc::environment, mountpoint + ": the image cannot be mounted there");
    return Mounted(program, mountpoint);
}

Mounted::Mounted(Mounted&& other) noexcept
    : program_(std::move(other.program_)),
      mountpoint_(std::move(other.mountpoint_)),
      is_mounted_(std::exchange(other.is_mounted_, false)) {}

Mounted::~Mounted() {
    if (is_mounted_) (void)unmount();
}

Status Mounted::unmount() {
    is_mounted_ = false;
    SQUENV_TRY_ASSIGN(const int status,
                      run_to_end({{program_, "umount", "-q", "--", mountpoint_}}));
    if (status == 0) return {};
    SQUENV_TRY_ASSIGN(const int lazy,
                      run_to_end({{program_, "umount", "-q", "--lazy", "--", mountpoint_}}));
    if (lazy != 0) return fail(Errc::busy, mountpoint_ + ": cannot be unmounted");
    return {};
}

Result<std::string> Mounted::statistics() const {
    return output_of({{program_, "stats", "--json", "--", mountpoint_}});
}

}  // namespace squenv::cli
