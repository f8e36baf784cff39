// SPDX-License-Identifier: MIT
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <functional>
#include <ostream>

#include "cli/command.h"
#include "cli/image_argument.h"
#include "cli/option_values.h"
#include "config.h"

namespace squenv::cli {

namespace {

constexpr int kUsage = 2;
constexpr std::size_t kHelpColumn = 28;

std::vector<std::unique_ptr<Command>> make_commands() {
    std::vector<std::unique_ptr<Command>> commands;
    commands.push_back(make_pack_command());
    commands.push_back(make_run_command());
    commands.push_back(make_shell_command());
    commands.push_back(make_mount_command());
    commands.push_back(make_umount_command());
    commands.push_back(make_list_command());
    commands.push_back(make_stats_command());
    commands.push_back(make_info_command());
    commands.push_back(make_ls_command());
    commands.push_back(make_cat_command());
    commands.push_back(make_extract_command());
    commands.push_back(make_verify_command());
    commands.push_back(make_doctor_command());
    commands.push_back(make_cache_command());
    commands.push_back(make_trace_command());
    commands.push_back(make_bench_command());
    return commands;
}

int report(Io& io, const std::string& who, const Status& status,
           const Command* command = nullptr) {
    if (status) {
        io.out.flush();
        if (io.out) return 0;
        io.err << who << ": cannot write the output\n";
        return 1;
    }
    if (!status.error().message().empty())
        io.err << who << ": " << printable(status.error().message()) << '\n';
    return command != nullptr ? command->failure_status(status.error().code)
                              : exit_code(status.error().code);
}

int parse_failed(Io& io, const std::string& who, const CLI::App& app,
                 const CLI::ParseError& error, int status, bool takes_command = false) {
    if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
    const bool lacks_dashes = takes_command && dynamic_cast<const CLI::ExtrasError*>(&error);
    io.err << who << ": " << error.what() << "; "
           << (lacks_dashes ? "write '--' before the command, " : "") << "see '" << who
           << " --help'\n";
    return status;
}

/// Takes the words after "--" out of `words`, for the command that they are meant for.
void split_remainder(std::vector<std::string>& words,
                     const std::vector<std::unique_ptr<Command>>& commands) {
    if (words.empty()) return;
    for (const auto& command : commands) {
        if (words.front() != command->name() || command->remainder() == nullptr) continue;
        const auto dashes = std::find(words.begin(), words.end(), "--");
        if (dashes == words.end()) return;
        command->remainder()->assign(dashes + 1, words.end());
        words.erase(dashes, words.end());
    }
}

int run_command(Io& io, Command& command) {
    const std::string who = std::string("squenv ") + command.name();
    try {
        return report(io, who, command.run(io), &command);
    } catch (const std::exception& exception) {
        return report(io, who, fail(Errc::internal, exception.what()), &command);
    }
}

int unknown_word(Io& io, const std::string& word) {
    io.err << "squenv: unknown " << (word.starts_with('-') ? "option '" : "command '")
           << printable(word) << "'; see 'squenv --help'\n";
    return kUsage;
}

int run_squenv(const std::vector<std::string>& arguments, Io& io) {
    CLI::App app{"Python environments from one file: mounts squashfs images without privilege.",
                 "squenv"};
    app.set_version_flag("--version", "squenv " SQUENV_VERSION);
    app.get_formatter()->column_width(kHelpColumn);
    app.require_subcommand(1);
    app.footer("Run 'squenv COMMAND --help' for the options of a command.");
    std::vector<std::string> words(arguments.begin() + 1, arguments.end());
    auto commands = make_commands();
    // Declaring options takes time, which a rank that starts with a thousand others feels.
    const auto is_called = [&](const auto& command) { return command->name() == words.front(); };
    if (!words.empty() && std::any_of(commands.begin(), commands.end(), is_called))
        std::erase_if(commands, std::not_fn(is_called));
    std::vector<CLI::App*> declared;
    for (const auto& command : commands) {
        CLI::App* sub = app.add_subcommand(command->name(), command->summary());
        sub->get_formatter()->column_width(kHelpColumn);
        sub->add_flag("-v,--verbose", io.is_verbose, "Say more on stderr");
        sub->add_flag("-q,--quiet", io.is_quiet, "Say errors only");
        command->declare(*sub);
        refuse_empty_values(*sub);
        declared.push_back(sub);
    }
    split_remainder(words, commands);
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
        app.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        const auto chosen = app.get_subcommands();
        if (chosen.empty() && error.get_exit_code() != 0 && arguments.size() > 1)
            return unknown_word(io, arguments[1]);
        if (chosen.empty()) return parse_failed(io, "squenv", app, error, kUsage);
        const auto place = std::find(declared.begin(), declared.end(), chosen.front());
        const auto& command = commands[static_cast<std::size_t>(place - declared.begin())];
        return parse_failed(io, "squenv " + chosen.front()->get_name(), app, error,
                            command->failure_status(Errc::invalid_argument),
                            command->remainder() != nullptr);
    }
    for (std::size_t i = 0; i < commands.size(); ++i)
        if (declared[i]->parsed())
            return run_command(io, *commands[i]);
    return kUsage;
}

bool is_kind(const std::string& path, mode_t kind) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IFMT) == kind;
}

/// mount.fuse3 runs a file system by the name of its type: "squenv IMAGE DIR -o OPTIONS".
bool is_called_by_mount(const std::vector<std::string>& arguments) {
    if (arguments.size() < 3 || arguments[1].starts_with('-')) return false;
    if (!is_kind(arguments[2], S_IFDIR)) return false;
    if (!is_kind(arguments[1], S_IFREG) && !is_kind(arguments[1], S_IFBLK)) return false;
    const auto commands = make_commands();
    return std::none_of(commands.begin(), commands.end(), [&](const auto& command) {
        return arguments[1] == command->name();
    });
}

}  // namespace

int run_program(const std::vector<std::string>& arguments, Io& io) {
    const std::string path = arguments.empty() ? "squenv" : arguments.front();
    const std::string name = path.substr(path.rfind('/') + 1);
    try {
        if (name == "squashfuse" || name == "squashfuse_ll")
            return report(io, name, run_as_squashfuse(arguments, io));
        if (name == "mount.squenv" || name == "mount.fuse.squenv" || is_called_by_mount(arguments))
            return run_as_mount_helper(arguments, io);
        return run_squenv(arguments, io);
    } catch (const std::exception& exception) {
        io.err << name << ": " << exception.what() << '\n';
        return 1;
    }
}

}  // namespace squenv::cli
