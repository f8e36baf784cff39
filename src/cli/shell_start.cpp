// SPDX-License-Identifier: MIT
#include "cli/shell_start.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/environment.h"

namespace squenv::cli {

namespace {

/// As one word of any shell.
std::string quoted(const std::string& text) {
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return word + "'";
}

/// A file without a name that holds `text`; its path works in the process that inherits it.
Result<std::string> anonymous_file(const std::string& text) {
    const int fd = ::memfd_create("squenv-shell", 0);
    if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail_errno(errno, "start-up file of the shell");
    return fmt::format("/proc/self/fd/{}", fd);
}

Result<std::vector<std::string>> start_bash(const std::string& shell, const std::string& mark) {
    SQUENV_TRY_ASSIGN(const auto file,
                      anonymous_file(fmt::format("if [ -f ~/.bashrc ]; then . ~/.bashrc; fi\n"
                                                 "export PATH={}\n"
                                                 "PS1={}\"$PS1\"\n",
                                                 quoted(environment_variable("PATH")), quoted(mark))));
    return std::vector<std::string>{shell, "--rcfile", file, "-i"};
}

/// zsh has no option for it: its start-up files are looked for in a directory of ours, which sends
/// it back to the user's.
Result<std::vector<std::string>> start_zsh(const std::string& shell, const std::string& mark) {
    const std::string temporary = environment_variable("TMPDIR");
    std::string directory = (temporary.empty() ? "/tmp" : temporary) + "/squenv-zsh-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) return fail_errno(errno, directory);
    const std::string own = environment_variable("ZDOTDIR");
    const std::string home = own.empty() ? environment_variable("HOME") : own;
    // The user's .zshenv may choose yet another directory for the rest.
    std::ofstream(directory + "/.zshenv")
        << "ZDOTDIR=" << quoted(home) << '\n'
        << "if [ -f $ZDOTDIR/.zshenv ]; then . $ZDOTDIR/.zshenv; fi\n"
        << "_squenv_home=$ZDOTDIR; ZDOTDIR=" << quoted(directory) << '\n';
    std::ofstream(directory + "/.zshrc")
        << "rm -rf " << quoted(directory) << '\n'
        << "ZDOTDIR=$_squenv_home; unset _squenv_home\n"
        << "if [ -f $ZDOTDIR/.zshrc ]; then . $ZDOTDIR/.zshrc; fi\n"
        << (own.empty() ? "[ \"$ZDOTDIR\" = \"$HOME\" ] && unset ZDOTDIR\n" : "")
        << "export PATH=" << quoted(environment_variable("PATH")) << '\n'
        << "PROMPT=" << quoted(mark) << "\"$PROMPT\"\n";
    ::setenv("ZDOTDIR", directory.c_str(), 1);
    return std::vector<std::string>{shell, "-i"};
}

std::vector<std::string> start_fish(const std::string& shell, const std::string& mark) {
    return {shell, "-i", "-C",
            fmt::format("set -gx PATH (string split : -- {})\n"
                        "functions -q _squenv_prompt; or functions -c fish_prompt _squenv_prompt\n"
                        "function fish_prompt; echo -n {}; _squenv_prompt; end",
                        quoted(environment_variable("PATH")), quoted(mark))};
}

Result<std::vector<std::string>> start_posix(const std::string& shell, const std::string& mark) {
    const std::string own = environment_variable("ENV");
    SQUENV_TRY_ASSIGN(const auto file,
                      anonymous_file((own.empty() ? "unset ENV\n"
                                                  : fmt::format("ENV={}\n. {}\n", quoted(own),
                                                                quoted(own))) +
                                     fmt::format("export PATH={}\nPS1={}\"$PS1\"\n",
                                                 quoted(environment_variable("PATH")), quoted(mark))));
    ::setenv("ENV", file.c_str(), 1);
    return std::vector<std::string>{shell, "-i"};
}

}  // namespace

std::string user_shell() {
    if (auto shell = environment_variable("SHELL"); !shell.empty() && ::access(shell.c_str(), X_OK) == 0)
        return shell;
    if (const passwd* account = ::getpwuid(::getuid()); account != nullptr)
        if (account->pw_shell != nullptr && ::access(account->pw_shell, X_OK) == 0 &&
            *account->pw_shell != '\0')
            return account->pw_shell;
    return "/bin/sh";
}

Result<std::vector<std::string>> shell_command(const std::string& shell, const std::string& mark) {
    const std::string name = std::filesystem::path(shell).filename().string();
    if (name == "bash") return start_bash(shell, mark);
    if (name == "zsh") return start_zsh(shell, mark);
    if (name == "fish") return start_fish(shell, mark);
    if (name == "sh" || name == "dash" || name == "ash" || name == "ksh" || name == "mksh")
        return start_posix(shell, mark);
    return std::vector<std::string>{shell};
}

}  // namespace squenv::cli
