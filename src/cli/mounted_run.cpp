// SPDX-License-Identifier: MIT
#include "cli/mounted_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <map>
#include <utility>

#include "base/file_io.h"
#include "base/paths.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "cli/refused_program.h"
#include "system/mount_table.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

using Variables = std::map<std::string, std::string>;

/// The variables of this process, with `environment` activated unless that is "".
Variables variables_of(const std::string& environment) {
    Variables variables = process_variables();
    variables.emplace("PATH", kDefaultPath);
    if (environment.empty()) return variables;
    const auto kind = venv::environment_kind_at(environment) == venv::EnvironmentKind::conda
                          ? venv::EnvironmentKind::conda
                          : venv::EnvironmentKind::venv;
    venv::apply(venv::activation(environment, variables["PATH"], kind), variables);
    return variables;
}

/// What find_program() does not find fails when it is started.
ProgramStart start_of(const Program& program) {
    const Variables variables = variables_of(program.environment);
    ProgramStart start{program.words, {}};
    start.path = find_program(program.words.front(), variables.at("PATH"));
    for (const auto& [name, value] : variables) start.variables.push_back(name + '=' + value);
    if (program.is_silent) start.output = -1;
    if (program.prints_as_errors) start.output = STDERR_FILENO;
    return start;
}

/// The error of a program that start_program() did not start: its own, or one of this process.
tl::unexpected<Error> not_started(Error error, const Program& program) {
    if (error.sys_errno != EACCES && error.sys_errno != ENOENT && error.sys_errno != ENOTDIR)
        return tl::unexpected(std::move(error));
    return tl::unexpected(refused_program(error.sys_errno, program.words.front(), "",
                                          variables_of(program.environment).at("PATH")));
}

}  // namespace

TemporaryFile::~TemporaryFile() {
    ::unlink(path_.c_str());
}

Result<int> run_to_end(const Program& program) {
    const auto child = start_program(start_of(program));
    if (!child) return not_started(child.error(), program);
    SQUENV_TRY_ASSIGN(const ProcessEnd end, wait_for(*child));
    return end.shell_status();
}

Result<std::string> output_of(const Program& program) {
    SQUENV_TRY_ASSIGN(Captured captured, capture(start_of(program)));
    if (captured.end.shell_status() != 0)
        return fail(Errc::environment, program.words.front() + " failed");
    return std::move(captured.output);
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
                               const std::string& options, const std::vector<std::string>& files) {
    SQUENV_TRY_ASSIGN(const std::string program, squenv_program());
    SQUENV_TRY_ASSIGN(const std::string place, system::canonical_mountpoint(mountpoint));
    LeftBehind left{program, real_path(image), place, {}};
    for (const std::string& file : files)
        left.files.push_back(std::filesystem::absolute(file).string());
    SQUENV_TRY_ASSIGN(auto guard, KillGuard::start(left));
    Program command{{program, "mount", "-q"}};
    if (!options.empty()) command.words.insert(command.words.end(), {"-o", options});
    command.words.insert(command.words.end(), {"--", image, mountpoint});
    SQUENV_TRY_ASSIGN(const int status, run_to_end(command));
    if (status != 0)
        return fail(Errc::environment, mountpoint + ": the image cannot be mounted there");
    return Mounted(program, mountpoint, std::move(guard));
}

Mounted::Mounted(Mounted&& other) noexcept
    : program_(std::move(other.program_)),
      mountpoint_(std::move(other.mountpoint_)),
      guard_(std::move(other.guard_)),
      is_mounted_(std::exchange(other.is_mounted_, false)) {
}

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
