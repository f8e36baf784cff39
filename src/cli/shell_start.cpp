// SPDX-License-Identifier: MIT
#include "cli/shell_start.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "base/account.h"
#include "base/environment.h"
#include "base/shell_word.h"
#include "cli/shell_words.h"

namespace squenv::cli {

namespace {

/// Nothing when it is not set: a view may have removed it.
std::optional<std::string> present_value(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

/// A file without a name that holds `text`; its path works in a process that inherits it.
Result<std::string> anonymous_file(const std::string& text) {
    const int fd = ::memfd_create("squenv-shell", 0);
    if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_errno(errno, "start-up file of the shell");
    return fmt::format("/proc/self/fd/{}", fd);
}

/// Lines that run the scripts which conda runs when it activates `start.conda_prefix`: those with
/// `extension`, in the order of their names. `command` reads a file into the shell.
std::string activation_lines(const ShellStart& start, const std::string& command,
                             const std::string& extension) {
    if (start.conda_prefix.empty()) return {};
    std::vector<std::string> scripts;
    std::error_code error;
    std::filesystem::directory_iterator entry(start.conda_prefix + "/etc/conda/activate.d", error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        if (entry->path().extension() == extension) scripts.push_back(entry->path().string());
    std::sort(scripts.begin(), scripts.end());
    std::string lines;
    for (const auto& script : scripts) lines += command + ' ' + shell_word(script) + '\n';
    return lines;
}

/// The lines that every shell but fish reads after its own files.
std::string posix_lines(const ShellStart& start, const std::string& prompt) {
    std::string lines = shell_line("PATH", environment_variable("PATH"));
    for (const auto& name : start.variables) lines += shell_line(name, present_value(name));
    return lines + activation_lines(start, ".", ".sh") +
           fmt::format("{}={}\"${}\"\n", prompt, shell_word(start.mark), prompt);
}

Result<std::vector<std::string>> start_bash(const std::string& shell, const ShellStart& start) {
    SQUENV_TRY_ASSIGN(
        const auto file,
        anonymous_file("if [ -f ~/.bashrc ]; then . ~/.bashrc; fi\n" + posix_lines(start, "PS1")));
    return std::vector<std::string>{shell, "--rcfile", file, "-i"};
}

/// zsh has no option for it. It looks for its start-up files in a temporary directory, whose files
/// lead it back to the user's.
Result<std::vector<std::string>> start_zsh(const std::string& shell, const ShellStart& start) {
    const std::string temporary = environment_variable("TMPDIR");
    const auto made_in = [](const std::string& place) {
        std::string path = place + "/squenv-zsh-XXXXXX";
        return ::mkdtemp(path.data()) != nullptr ? path : std::string();
    };
    std::string directory = temporary.empty() ? "" : made_in(temporary);
    if (directory.empty()) directory = made_in("/tmp");
    if (directory.empty())
        return fail(Errc::io,
                    "/tmp: the start-up files of zsh cannot be put there: " +
                        std::generic_category().message(errno),
                    "set TMPDIR to a directory that can be written, or SHELL to another shell");
    const std::string own = environment_variable("ZDOTDIR");
    const std::string home = own.empty() ? environment_variable("HOME") : own;
    // The user's .zshenv may choose yet another directory for the rest.
    std::ofstream(directory + "/.zshenv")
        << "ZDOTDIR=" << shell_word(home) << '\n'
        << "if [ -f $ZDOTDIR/.zshenv ]; then . $ZDOTDIR/.zshenv; fi\n"
        << "_squenv_home=$ZDOTDIR; ZDOTDIR=" << shell_word(directory) << '\n';
    std::ofstream(directory + "/.zshrc")
        << "rm -rf " << shell_word(directory) << '\n'
        << "ZDOTDIR=$_squenv_home; unset _squenv_home\n"
        << "if [ -f $ZDOTDIR/.zshrc ]; then . $ZDOTDIR/.zshrc; fi\n"
        << (own.empty() ? "[ \"$ZDOTDIR\" = \"$HOME\" ] && unset ZDOTDIR\n" : "")
        << posix_lines(start, "PROMPT");
    ::setenv("ZDOTDIR", directory.c_str(), 1);
    return std::vector<std::string>{shell, "-i"};
}

std::vector<std::string> start_fish(const std::string& shell, const ShellStart& start) {
    std::string variables;
    for (const auto& name : start.variables) variables += fish_line(name, present_value(name));
    return {shell, "-i", "-C",
            fmt::format("{}{}{}"
                        "functions -q _squenv_prompt; or functions -c fish_prompt _squenv_prompt\n"
                        "function fish_prompt; echo -n {}; _squenv_prompt; end",
                        fish_line("PATH", environment_variable("PATH")), variables,
                        activation_lines(start, "source", ".fish"), shell_word(start.mark))};
}

Result<std::vector<std::string>> start_posix(const std::string& shell, const ShellStart& start) {
    const std::string own = environment_variable("ENV");
    SQUENV_TRY_ASSIGN(const auto file,
                      anonymous_file((own.empty() ? "unset ENV\n"
                                                  : fmt::format("ENV={}\n. {}\n", shell_word(own),
                                                                shell_word(own))) +
                                     posix_lines(start, "PS1")));
    ::setenv("ENV", file.c_str(), 1);
    return std::vector<std::string>{shell, "-i"};
}

/// Groups of shells that are started alike.
enum class Family { bash, zsh, fish, posix, other };

Family family_of(const std::string& shell) {
    const std::string name = std::filesystem::path(shell).filename().string();
    if (name == "bash") return Family::bash;
    if (name == "zsh") return Family::zsh;
    if (name == "fish") return Family::fish;
    for (const char* posix : {"sh", "dash", "ash", "ksh", "mksh"})
        if (name == posix) return Family::posix;
    return Family::other;
}

}  // namespace

std::string user_shell() {
    if (auto shell = environment_variable("SHELL");
        !shell.empty() && ::access(shell.c_str(), X_OK) == 0)
        return shell;
    if (const auto account = account_of(::getuid());
        account && ::access(account->shell.c_str(), X_OK) == 0)
        return account->shell;
    return "/bin/sh";
}

bool is_adapted(const std::string& shell) {
    return family_of(shell) != Family::other;
}

Result<std::vector<std::string>> shell_command(const std::string& shell, const ShellStart& start) {
    switch (family_of(shell)) {
        case Family::bash: return start_bash(shell, start);
        case Family::zsh: return start_zsh(shell, start);
        case Family::fish: return start_fish(shell, start);
        case Family::posix: return start_posix(shell, start);
        case Family::other: break;
    }
    return std::vector<std::string>{shell};
}

}  // namespace squenv::cli
