// SPDX-License-Identifier: MIT
#include "cli/refused_program.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/paths.h"
#include "base/shell_word.h"
#include "base/unique_fd.h"

namespace squenv::cli {

namespace {

/// The kernel looks at no more of a first line.
constexpr std::size_t kLineBytes = 256;

/// The first bytes of a file; "" when it cannot be read.
std::string beginning_of(const std::string& path) {
    const auto file = open_file(path, O_RDONLY | O_NONBLOCK);
    std::array<char, kLineBytes> bytes{};
    const ssize_t size = file ? ::read(file->get(), bytes.data(), bytes.size()) : 0;
    return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// The program that a script names in its first line, without arguments; "" when it names none.
std::string interpreter_of(const std::string& beginning) {
    if (!beginning.starts_with("#!")) return {};
    const std::string line = beginning.substr(2, beginning.find('\n') - 2);
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) return {};
    return line.substr(begin, line.find_first_of(" \t", begin) - begin);
}

/// How to run a script that is not executable; "" for what is no text.
std::string with_interpreter(const std::string& path, const std::string& beginning) {
    if (beginning.find('\0') != std::string::npos) return {};
    std::string interpreter = interpreter_of(beginning);
    if (interpreter.empty()) interpreter = path.ends_with(".py") ? "python" : "sh";
    return fmt::format("name its interpreter: {} {}", interpreter, quoted_if_needed(path));
}

Error failure(Errc code, int sys_errno, std::string context, std::string hint) {
    return {code, sys_errno, std::move(context), std::move(hint)};
}

/// Of a file without the right to execute it, or on a file system without that.
Error not_executable(const std::string& name, const std::string& path, const struct stat& info) {
    struct statvfs system {};
    const bool is_known = ::statvfs(path.c_str(), &system) == 0;
    std::string hint = with_interpreter(path, beginning_of(path));
    const auto either = [&hint](const std::string& first) {
        return hint.empty() ? first : first + ", or " + hint;
    };
    const bool has_bit = (info.st_mode & 0111U) != 0;
    if (is_known && (system.f_flag & ST_NOEXEC) != 0 && has_bit)
        return failure(Errc::denied, 0, name + ": its file system is mounted with noexec",
                       either("copy it to another one"));
    if (has_bit) return failure(Errc::denied, EACCES, name, either(permission_remedy(path, "rx")));
    const bool is_fixed = is_known && (system.f_flag & ST_RDONLY) != 0;
    if (!is_fixed) hint = either(fmt::format("run 'chmod +x {}'", quoted_if_needed(path)));
    return failure(Errc::denied, 0, name + ": is not executable",
                   hint.empty() ? "name a program" : hint);
}

/// Of a program that needs another one, which is missing or refused itself.
Error without_interpreter(int sys_errno, const std::string& name, const std::string& path) {
    const std::string beginning = beginning_of(path);
    const std::string interpreter = interpreter_of(beginning);
    if (interpreter.ends_with('\r'))
        return failure(errc_of(sys_errno), 0,
                       name + ": its first line ends with a carriage return, as on Windows",
                       fmt::format("remove those: sed -i 's/\\r$//' {}", quoted_if_needed(path)));
    if (!interpreter.empty())
        return failure(errc_of(sys_errno), sys_errno,
                       fmt::format("{}: the interpreter in its first line, {}", name, interpreter),
                       "install that, or correct the line");
    return failure(errc_of(sys_errno), 0,
                   name + ": the loader that it names is not here: it is made for another system",
                   "install that, or a program that is made for this one");
}

/// Of a name that leads to no file.
Error missing(int sys_errno, const std::string& name, const std::string& hint) {
    const bool is_path = name.find('/') != std::string::npos;
    const std::string closed = is_path && sys_errno == EACCES ? closed_directory(name) : "";
    if (!closed.empty())
        return failure(Errc::denied, EACCES, fmt::format("{}: {} may not be entered", name, closed),
                       permission_remedy(closed, "x"));
    // A directory of PATH that may not be searched makes execvp(3) report that.
    const int reason = sys_errno == EACCES ? ENOENT : sys_errno;
    if (!hint.empty()) return failure(errc_of(reason), reason, name, hint);
    return failure(errc_of(reason), reason, name,
                   is_path ? "check the path" : "neither in PATH nor in the environment");
}

}  // namespace

Error refused_program(int sys_errno, const std::string& name, const std::string& missing_hint,
                      const std::string& search) {
    const std::string path = find_program(name, search, F_OK);
    struct stat info {};
    if (path.empty() || ::stat(path.c_str(), &info) != 0)
        return missing(sys_errno, name, missing_hint);
    if (S_ISDIR(info.st_mode))
        return failure(Errc::denied, 0, name + ": is a directory", "name a program");
    if (!S_ISREG(info.st_mode))
        return failure(Errc::denied, 0, name + ": is no regular file", "name a program");
    if (sys_errno == EACCES && ::access(path.c_str(), X_OK) != 0)
        return not_executable(name, path, info);
    if (sys_errno == EACCES || sys_errno == ENOENT)
        return without_interpreter(sys_errno, name, path);
    if (sys_errno == E2BIG)
        return failure(Errc::limit, E2BIG, name, "shorten the arguments or the environment");
    return failure(errc_of(sys_errno), sys_errno, name,
                   fmt::format("'file {}' shows what it is", quoted_if_needed(path)));
}

}  // namespace squenv::cli
