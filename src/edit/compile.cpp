// SPDX-License-Identifier: MIT
#include "edit/compile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/file_io.h"
#include "base/little_endian.h"
#include "base/process.h"
#include "base/process_limits.h"
#include "base/room.h"
#include "base/unique_fd.h"
#include "venv/environment.h"

namespace squenv::edit {

namespace {

namespace fs = std::filesystem;

/// The head of a compiled form: magic, flags, time and size of the source.
struct FormHead {
    Le32 magic;
    Le32 flags;
    Le32 time;
    Le32 size;
};

/// More modules than that are compiled by several processes.
constexpr std::size_t kManyModules = 64;

bool fits(const fs::path& form, const struct stat& source) {
    FormHead head{};
    std::ifstream file(form, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(&head), sizeof head)) return false;
    // One that is checked by hash, or never, is what its maker wanted.
    if (head.flags != 0) return true;
    return head.time == static_cast<std::uint32_t>(source.st_mtim.tv_sec) &&
           head.size == static_cast<std::uint32_t>(source.st_size);
}

/// Whether Python finds a form of the module at `path` that it would use.
bool is_compiled(const fs::path& path, const struct stat& source) {
    const std::string begin = path.stem().string() + '.';
    std::error_code error;
    for (fs::directory_iterator at(path.parent_path() / "__pycache__", error), end;
         !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (name.starts_with(begin) && name.ends_with(".pyc") &&
            name.find(".opt-") == std::string::npos && fits(at->path(), source))
            return true;
    }
    return false;
}

/// A line for each module to compile.
std::string modules_to_compile(const std::string& root, const std::string& tree,
                               const std::string& library, const IsWritten& is_written,
                               std::size_t& count) {
    std::string lines;
    std::error_code error;
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at(fs::path(tree) / library, options, error), end;
         !error && at != end; at.increment(error)) {
        struct stat info {};
        if (at->path().extension() != ".py" || ::lstat(at->path().c_str(), &info) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        const fs::path name = at->path().lexically_relative(tree);
        const fs::path path = fs::path(root) / name;
        if (!is_written(name.string(), info)) continue;
        // The list has a line for each.
        if (path.string().find('\n') != std::string::npos || is_compiled(path, info)) continue;
        lines += path.string() + '\n';
        ++count;
    }
    return lines;
}

std::vector<std::string> variables() {
    constexpr std::array<std::string_view, 3> kOthers{
        "PYTHONPYCACHEPREFIX=", "PYTHONOPTIMIZE=", "PYTHONHASHSEED="};
    auto all = own_variables();
    std::erase_if(all, [&](const std::string& variable) {
        return std::any_of(kOthers.begin(), kOthers.end(),
                           [&](std::string_view name) { return variable.starts_with(name); });
    });
    all.push_back("PYTHONHASHSEED=0");
    return all;
}

Result<UniqueFd> unnamed_file(const std::string& text) {
    UniqueFd file(::memfd_create("squenv-compile", MFD_CLOEXEC));
    if (!file) return fail_errno(errno, "list of modules");
    SQUENV_TRY(write_all(file.get(), as_bytes(text)));
    if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "list of modules");
    return file;
}

/// Removes the compiled forms that the session wrote, of modules that are there.
void remove_forms(const std::string& root, const std::string& tree, const std::string& library,
                  const IsWritten& is_written) {
    std::vector<fs::path> forms;
    std::error_code error;
    const auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at(fs::path(tree) / library, options, error), end;
         !error && at != end; at.increment(error)) {
        struct stat info {};
        const fs::path name = at->path().lexically_relative(tree);
        if (name.extension() != ".pyc" || name.parent_path().filename() != "__pycache__" ||
            ::lstat(at->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        const std::string module = name.filename().string();
        const fs::path source = fs::path(root) / name.parent_path().parent_path() /
                                (module.substr(0, module.find('.')) + ".py");
        if (::access(source.c_str(), F_OK) == 0 && is_written(name.string(), info))
            forms.push_back(fs::path(root) / name);
    }
    for (const fs::path& form : forms) fs::remove(form, error);
}

/// Status of 0 of compileall.
Result<bool> compile_modules(const std::string& python, const std::string& lines,
                             std::size_t count) {
    SQUENV_TRY_ASSIGN(const auto list, unnamed_file(lines));
    // -B: what compileall itself imports is none of ours.
    ProgramStart start{{python, "-B", "-m", "compileall", "-q", "-i", "-"}, variables()};
    if (count > kManyModules && has_semaphores())
        start.words.insert(start.words.end(), {"-j", "0"});
    start.input = list.get();
    start.output = STDERR_FILENO;
    SQUENV_TRY_ASSIGN(const pid_t child, start_program(start));
    SQUENV_TRY_ASSIGN(const ProcessEnd end, wait_for(child));
    return end.shell_status() == 0;
}

}  // namespace

Result<bool> compile_written(const std::string& root, const std::string& tree,
                             const IsWritten& is_written) {
    SQUENV_TRY_ASSIGN(const auto environment, venv::recognise(root));
    const std::string python = root + "/bin/python";
    if (!environment || environment->library.empty() || ::access(python.c_str(), X_OK) != 0)
        return true;
    const std::string staging = fs::path(tree).parent_path().string();
    // The command has compiled modules, too, as pip does.
    auto room = try_room(staging);
    bool is_complete = true;
    std::size_t count = 0;
    const auto lines = modules_to_compile(root, tree, environment->library, is_written, count);
    if (room && count != 0) {
        SQUENV_TRY_ASSIGN(is_complete, compile_modules(python, lines, count));
        room = try_room(staging);
    }
    if (room) return is_complete;
    remove_forms(root, tree, environment->library, is_written);
    return fail(room.error().code,
                room.error().message() + ": the modules that were written are not compiled",
                "edit with more room, by --staging, and they are");
}

}  // namespace squenv::edit
