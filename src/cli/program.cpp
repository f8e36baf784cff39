// SPDX-License-Identifier: MIT
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <ostream>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "cli/program_frame.h"
#include "cli/slurm_helper.h"
#include "config.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr const char* kVersion = "squenv " SQUENV_VERSION "\n" SQUENV_FEATURES;

std::vector<std::unique_ptr<Command>> make_commands() {
    std::vector<std::unique_ptr<Command>> commands;
    commands.push_back(make_create_command());
    commands.push_back(make_pack_command());
    commands.push_back(make_run_command());
    commands.push_back(make_shell_command());
    commands.push_back(make_edit_command());
    commands.push_back(make_env_command());
    commands.push_back(make_mount_command());
    commands.push_back(make_umount_command());
    commands.push_back(make_list_command());
    commands.push_back(make_stats_command());
    commands.push_back(make_upgrade_command());
    commands.push_back(make_info_command());
    commands.push_back(make_ls_command());
    commands.push_back(make_cat_command());
    commands.push_back(make_diff_command());
    commands.push_back(make_extract_command());
    commands.push_back(make_verify_command());
    commands.push_back(make_history_command());
    commands.push_back(make_rollback_command());
    commands.push_back(make_prune_command());
    commands.push_back(make_doctor_command());
    commands.push_back(make_cache_command());
    commands.push_back(make_trace_command());
    commands.push_back(make_bench_command());
    return commands;
}

/// Help with the command to run in the usage line, which is no operand of ours.
class UsageFormatter final : public CLI::Formatter {
  public:
    explicit UsageFormatter(std::string tail) : tail_(std::move(tail)) {}
    std::string make_usage(const CLI::App* app, std::string name) const override {
        std::string usage = CLI::Formatter::make_usage(app, std::move(name));
        usage.insert(usage.find_last_not_of('\n') + 1, ' ' + tail_);
        return usage;
    }

  private:
    std::string tail_;
};

int parse_failed(Io& io, const std::string& who, const CLI::App& app, const CLI::ParseError& error,
                 const Command& command) {
    if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
    const std::string strays = stray_words(app, error);
    const bool is_lacking = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    const std::string tail = command.usage_tail();
    std::string hint = !strays.empty() ? command.stray_word_hint() : "";
    if (is_lacking && !tail.empty() && tail.front() != '[')
        hint = "write '" + who + " IMAGE " + tail + "'";
    io.err << who << ": "
           << printable(strays.empty() ? error.what() : "unexpected '" + strays + "'") << "; "
           << hint << (hint.empty() ? "" : ", ") << "see '" << who << " --help'\n";
    return command.failure_status(Errc::invalid_argument);
}

bool takes_value(const CLI::App& app, const std::string& name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->get_items_expected_max() > 0;
}

/// Whether the option or the letters in `word` take the next word as a value.
bool takes_next_word(const CLI::App& app, const std::string& word) {
    if (word.starts_with("--")) return takes_value(app, word);
    for (std::size_t i = 1; i < word.size(); ++i)
        if (takes_value(app, std::string{'-', word[i]})) return i + 1 == word.size();
    return false;
}

/// Takes the words of the command to run out of `words`, which begin with the name of ours: those
/// after "--", or, without that and unless `needs_dashes`, from the second word on that is no
/// option of `app`.
std::vector<std::string> split_command(std::vector<std::string>& words, const CLI::App& app,
                                       bool needs_dashes) {
    const auto dashes = std::find(words.begin(), words.end(), "--");
    auto begin = dashes == words.end() ? dashes : dashes + 1;
    auto ours_end = dashes;
    bool has_images = false;
    const bool looks = dashes == words.end() && !needs_dashes;
    for (auto word = words.begin() + 1; looks && word != words.end(); ++word) {
        if (word->size() > 1 && word->front() == '-') {
            if (takes_next_word(app, *word) && word + 1 != words.end()) ++word;
        } else if (has_images) {
            begin = ours_end = word;
            break;
        } else {
            has_images = true;
        }
    }
    std::vector<std::string> command(begin, words.end());
    words.erase(ours_end, words.end());
    return command;
}

bool is_kind(const std::string& path, mode_t kind) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IFMT) == kind;
}

int unknown_word(Io& io, const std::string& word) {
    io.err << "squenv: unknown " << (word.starts_with('-') ? "option '" : "command '")
           << printable(word) << "'; "
           << (is_kind(word, S_IFREG) ? "write 'squenv run IMAGE -- CMD' or 'squenv mount IMAGE', "
                                      : "")
           << "see 'squenv --help'\n";
    return kUsage;
}

/// "help", "help COMMAND" and "version" as the options that they stand for.
void spell_out(std::vector<std::string>& words) {
    if (words.empty()) return;
    if (words.front() == "version") words.front() = "--version";
    if (words.front() != "help") return;
    words.erase(words.begin());
    words.push_back("--help");
}

CLI::App* declare(CLI::App& app, Command& command, Io& io) {
    CLI::App* sub = app.add_subcommand(command.name(), command.summary());
    if (const std::string tail = command.usage_tail(); !tail.empty())
        sub->formatter(std::make_shared<UsageFormatter>(tail));
    sub->footer("");  // that of the program itself would be inherited
    declare_options(*sub, command, io);
    if (!std::as_const(*sub).get_subcommands({}).empty())
        sub->footer(std::string("Run 'squenv ") + command.name() +
                    " SUBCOMMAND --help' for its options.");
    return sub;
}

int run_squenv(const std::vector<std::string>& arguments, Io& io) {
    if (arguments.size() == 2 && (arguments[1] == "--version" || arguments[1] == "-V")) {
        io.out << kVersion << '\n';  // before the options of all commands are declared
        return 0;
    }
    CLI::App app{"Python environments from one file: mounts squashfs images without privilege.",
                 "squenv"};
    app.set_version_flag("-V,--version", kVersion, "Print the version");
    app.get_formatter()->column_width(kHelpColumn);
    app.require_subcommand(1);
    app.footer("Run 'squenv help COMMAND' for the options of a command.");
    std::vector<std::string> words(arguments.begin() + 1, arguments.end());
    spell_out(words);
    const std::string first = words.empty() ? "" : words.front();
    auto commands = make_commands();
    // Declaring options takes time, which matters to a rank that starts with a thousand others.
    const auto is_called = [&](const auto& command) { return command->name() == first; };
    if (std::any_of(commands.begin(), commands.end(), is_called))
        std::erase_if(commands, std::not_fn(is_called));
    else if (!first.empty() && !first.starts_with('-'))
        return unknown_word(io, first);
    std::vector<CLI::App*> declared;
    for (const auto& command : commands) declared.push_back(declare(app, *command, io));
    if (words.empty()) {
        io.err << app.help();
        return kUsage;
    }
    if (is_called(commands.front()) && commands.front()->remainder() != nullptr)
        *commands.front()->remainder() =
            split_command(words, *declared.front(), commands.front()->remainder_needs_dashes());
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::ParseError& error) {
        const auto chosen = app.get_subcommands();
        if (chosen.empty() && error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
        if (chosen.empty()) return unknown_word(io, first);
        const auto place = std::find(declared.begin(), declared.end(), chosen.front());
        return parse_failed(io, "squenv " + chosen.front()->get_name(), app, error,
                            *commands[static_cast<std::size_t>(place - declared.begin())]);
    }
    for (std::size_t i = 0; i < commands.size(); ++i)
        if (declared[i]->parsed())
            return run_command(io, std::string("squenv ") + commands[i]->name(), *commands[i]);
    return kUsage;
}

/// mount.fuse3 runs a file system by the name of its type: "squenv IMAGE DIR -o OPTIONS".
bool is_called_by_mount(const std::vector<std::string>& arguments) {
    if (arguments.size() < 3 || arguments[1].starts_with('-')) return false;
    if (!is_kind(arguments[2], S_IFDIR)) return false;
    const std::string image = versions::resolve(arguments[1]).value_or("");
    if (!is_kind(image, S_IFREG) && !is_kind(image, S_IFBLK)) return false;
    const auto commands = make_commands();
    return std::none_of(commands.begin(), commands.end(),
                        [&](const auto& command) { return arguments[1] == command->name(); });
}

}  // namespace

int run_program(const std::vector<std::string>& arguments, Io& io) {
    const std::string path = arguments.empty() ? "squenv" : arguments.front();
    const std::string name = path.substr(path.rfind('/') + 1);
    return guarded(io, name, [&] {
        if (name == "squashfuse" || name == "squashfuse_ll")
            return report(io, name, run_as_squashfuse(arguments, io));
        if (name == "uenv") return run_as_uenv(arguments, io);
        if (name == "squenv-server") return run_as_server(arguments, io);
        if (name == "squenv-slurm") return run_as_slurm_helper(arguments, io);
        if (name == "mount.squenv" || name == "mount.fuse.squenv" || is_called_by_mount(arguments))
            return run_as_mount_helper(arguments, io);
        return run_squenv(arguments, io);
    });
}

}  // namespace squenv::cli
