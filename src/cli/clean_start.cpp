// SPDX-License-Identifier: MIT
#include "cli/clean_start.h"

#include <link.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/environment.h"
#include "base/process.h"

namespace squenv::cli {

namespace {

/// A variable that the loader reads, and the name that keeps its value over the exec.
struct Variable {
    const char* name;
    const char* saved;
};
constexpr Variable kSearchPath{"LD_LIBRARY_PATH", "SQUENV_SAVED_LD_LIBRARY_PATH"};
constexpr std::array kVariables{Variable{"LD_PRELOAD", "SQUENV_SAVED_LD_PRELOAD"},
                                Variable{"LD_AUDIT", "SQUENV_SAVED_LD_AUDIT"}, kSearchPath};

void rename_variable(const char* from, const char* to) {
    const std::string value = environment_variable(from);
    if (value.empty()) return;
    ::setenv(to, value.c_str(), 1);
    ::unsetenv(from);
}

/// True in a process that start_cleanly() has executed.
bool restore_variables() {
    bool is_restored = false;
    for (const auto& [name, saved] : kVariables) {
        if (std::getenv(saved) == nullptr) continue;
        rename_variable(saved, name);
        ::unsetenv(saved);
        is_restored = true;
    }
    return is_restored;
}

/// Whether a library of this process was found by `search_path`.
bool uses_search_path(std::string search_path) {
    const auto look = [](dl_phdr_info* info, std::size_t, void* path) -> int {
        return is_found_by(info->dlpi_name, *static_cast<const std::string*>(path)) ? 1 : 0;
    };
    return !search_path.empty() && ::dl_iterate_phdr(look, &search_path) != 0;
}

/// Whether this program starts without LD_LIBRARY_PATH. Where it is installed with its libraries in
/// a place of its own, it needs the variable.
bool starts_alone(const std::string& program) {
    ProgramStart start{{"squenv", "--version"}, own_variables(), program, -1, -1, -1};
    std::erase_if(start.variables, [](const std::string& variable) {
        return std::any_of(kVariables.begin(), kVariables.end(), [&](const Variable& known) {
            return variable.starts_with(std::string(known.name) + '=');
        });
    });
    const auto child = start_program(start);
    if (!child) return false;
    const auto end = wait_for(*child);
    return end && end->shell_status() == 0;
}

}  // namespace

bool asks_for_mount(const std::vector<std::string_view>& words) {
    if (words.empty()) return false;
    const std::string_view name = words[0].substr(words[0].rfind('/') + 1);
    constexpr std::array<std::string_view, 6> kNames{
        "squashfuse", "squashfuse_ll", "mount.squenv", "mount.fuse.squenv", "uenv", "squenv-slurm"};
    if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
    constexpr std::array<std::string_view, 5> kCommands{"run", "shell", "mount", "doctor", "edit"};
    return words.size() > 1 &&
           std::find(kCommands.begin(), kCommands.end(), words[1]) != kCommands.end();
}

bool is_found_by(const std::string& library, const std::string& search_path) {
    if (library.find('/') == std::string::npos) return false;  // the program, or of the kernel
    // A relative name of a library comes only from a relative entry of the variable.
    if (library[0] != '/') return true;
    for (std::size_t begin = 0; begin <= search_path.size();) {
        const std::size_t end =
            std::min(search_path.find_first_of(":;", begin), search_path.size());
        std::string directory = search_path.substr(begin, end - begin);
        while (directory.ends_with('/')) directory.pop_back();
        if (!directory.empty() && library.starts_with(directory + '/')) return true;
        begin = end + 1;
    }
    return false;
}

void start_cleanly(int argc, char** argv) {
    if (restore_variables()) {
        // exec has named the process after the file, which may have another name.
        const std::string_view path = argc > 0 ? argv[0] : "";
        const std::string name(path.substr(path.rfind('/') + 1));
        if (!name.empty()) ::prctl(PR_SET_NAME, name.c_str());
        return;
    }
    if (!asks_for_mount({argv, argv + argc}) || ::getauxval(AT_SECURE) != 0) return;
    const bool is_preloaded =
        !environment_variable("LD_PRELOAD").empty() || !environment_variable("LD_AUDIT").empty();
    const bool is_searched = uses_search_path(environment_variable(kSearchPath.name));
    if (!is_preloaded && !is_searched) return;
    std::error_code error;
    const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
    if (error) return;
    const bool keeps_search_path = is_searched && !starts_alone(program);
    if (keeps_search_path && !is_preloaded) return;
    for (const auto& variable : kVariables)
        if (std::string_view(variable.name) != kSearchPath.name || !keeps_search_path)
            rename_variable(variable.name, variable.saved);
    ::execv(program.c_str(), argv);
    ::execv("/proc/self/exe", argv);  // the file may have been replaced
    (void)restore_variables();
}

}  // namespace squenv::cli
