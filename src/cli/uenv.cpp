// SPDX-License-Identifier: MIT
#include "cli/uenv.h"

#include <fmt/args.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <exception>
#include <ostream>

#include "base/environment.h"
#include "base/text.h"
#include "cli/image_name.h"
#include "cli/program_frame.h"
#include "config.h"

namespace squenv::cli {

namespace {

/// What only uenv itself does, and what to do instead.
struct Missing {
    const char* words;
    const char* next_step;
};
constexpr auto kMissing = std::to_array<Missing>({
    {"image find", "uenv of the site searches the registry; 'uenv image ls' lists what is on disk"},
    {"image pull", "pull with uenv of the site: images are used from its repository"},
    {"image push", "push with uenv of the site"},
    {"image copy", "copy with uenv of the site"},
    {"image delete", "delete with uenv of the site"},
    {"image add", "name the image file: no repository is needed"},
    {"image rm", "remove with uenv of the site"},
    {"repo create", "create with uenv of the site, or name image files"},
    {"repo status", "'uenv image ls' lists what is in it"},
    {"repo update", "update with uenv of the site"},
    {"repo migrate", "migrate with uenv of the site"},
    {"build", "build with uenv of the site, or pack a directory with 'squenv pack'"},
    {"config", "squenv-uenv(1) says which files and variables are read"},
    {"completion", "this name has none"},
});

bool begins_with(const std::vector<std::string>& words, const std::string& wanted) {
    std::string text;
    for (const std::string& word : words)
        if (!word.starts_with('-')) text += (text.empty() ? "" : " ") + word;
    return text == wanted || text.starts_with(wanted + ' ');
}

/// The words from the command on: options before it have values.
std::vector<std::string> from_command(const std::vector<std::string>& arguments) {
    std::size_t at = 1;
    while (at < arguments.size() && arguments[at].starts_with('-'))
        at += arguments[at] == "--repo" || arguments[at] == "--system" ? 2U : 1U;
    return {arguments.begin() + static_cast<std::ptrdiff_t>(std::min(at, arguments.size())),
            arguments.end()};
}

std::string coloured(bool has_colour, const char* colour, const std::string& text) {
    return has_colour ? std::string("\033[") + colour + 'm' + text + "\033[0m" : text;
}

Result<ListedImage> parse_item(const std::string& item, const UenvOptions& options) {
    std::size_t colon = std::string::npos;
    for (std::size_t at = item.find(':'); at != std::string::npos; at = item.find(':', at + 1))
        if (at + 1 < item.size() && (item[at + 1] == '/' || item[at + 1] == '.')) colon = at;
    ListedImage listed{item.substr(0, colon)};
    if (colon != std::string::npos) listed.path = item.substr(colon + 1);
    if (listed.image.empty())
        return fail(Errc::invalid_argument, "'" + item + "': an image without a name",
                    "write IMAGE[:PATH] or LABEL[:PATH]");
    if (!listed.path.empty() && listed.path.front() != '/')
        return fail(Errc::invalid_argument, listed.path + ": the path of a uenv is absolute",
                    "write it from the root on");
    if (listed.image.front() == '/' || listed.image.front() == '.' ||
        ::access(listed.image.c_str(), F_OK) == 0)
        return listed;
    SQUENV_TRY_ASSIGN(const auto label, label::parse_label(listed.image));
    SQUENV_TRY_ASSIGN(const auto settings, label::load_settings(options.sources()));
    SQUENV_TRY_ASSIGN(const auto record, find_label(label, settings));
    listed.image = record.image;
    listed.label_name = record.label.name;
    return listed;
}

/// The exit status of a command line that CLI11 refuses or answers itself.
int parse_failed(Io& io, const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
    std::string who = "uenv";
    const std::string strays = stray_words(app, error);
    for (const auto* chosen : app.get_subcommands()) {
        who += ' ' + chosen->get_name();
        for (const auto* inner : chosen->get_subcommands()) who += ' ' + inner->get_name();
    }
    io.err << who << ": "
           << printable(strays.empty() ? error.what() : "unexpected '" + strays + "'") << "; see '"
           << who << " --help'\n";
    return kUsage;
}

struct Declared {
    std::string who;
    std::unique_ptr<UenvCommand> command;
    Options line;
};

std::vector<Declared> declare_commands(Options options) {
    std::vector<Declared> all;
    const auto add = [&](Options parent, const char* who, std::unique_ptr<UenvCommand> command) {
        const Options declared = command->declare(parent);
        all.push_back({who, std::move(command), declared});
    };
    add(options, "uenv start", make_uenv_start());
    add(options, "uenv run", make_uenv_run());
    add(options, "uenv status", make_uenv_status());
    Options image = options.add_subcommand("image", "Show uenvs on disk");
    image.require_subcommand();
    add(image, "uenv image ls", make_uenv_image_ls());
    add(image, "uenv image inspect", make_uenv_image_inspect());
    return all;
}

}  // namespace

label::Sources UenvOptions::sources() const {
    label::Sources sources = label_sources();
    sources.repository = repository;
    sources.system = system;
    return sources;
}

std::string UenvOptions::yellow(const std::string& text) const {
    return coloured(has_colour, "33", text);
}

std::string UenvOptions::cyan(const std::string& text) const {
    return coloured(has_colour, "36", text);
}

Result<std::vector<ListedImage>> parse_uenv_images(const std::string& text,
                                                   const UenvOptions& options) {
    std::vector<ListedImage> list;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        SQUENV_TRY_ASSIGN(auto item, parse_item(text.substr(begin, end - begin), options));
        list.push_back(std::move(item));
        begin = end + 1;
    }
    if (list.empty())
        return fail(Errc::invalid_argument, "no image is named",
                    "write IMAGE[:PATH] or LABEL[:PATH]");
    return list;
}

Result<std::string> fill_template(const std::string& text,
                                  const std::vector<std::pair<std::string, std::string>>& fields) {
    fmt::dynamic_format_arg_store<fmt::format_context> store;
    std::string names;
    for (const auto& [name, value] : fields) {
        store.push_back(fmt::arg(name.c_str(), value));
        names += (names.empty() ? "" : ", ") + name;
    }
    try {
        return fmt::vformat(text, store);
    } catch (const std::exception& exception) {
        return fail(Errc::invalid_argument, "--format '" + text + "': " + exception.what(),
                    "the fields are " + names);
    }
}

int run_as_uenv(const std::vector<std::string>& arguments, Io& io) {
    const std::vector<std::string> words = from_command(arguments);
    for (const auto& [missing, next_step] : kMissing)
        if (begins_with(words, missing)) {
            io.err << "uenv " << missing << ": squenv does not do that; " << next_step << '\n';
            return 1;
        }
    CLI::App app{"Starts uenvs without privilege. This is squenv " SQUENV_VERSION
                 "; squenv-uenv(1) "
                 "says what differs.",
                 "uenv"};
    UenvOptions options;
    options.has_colour = ::isatty(STDOUT_FILENO) != 0 && environment_variable("NO_COLOR").empty();
    app.get_formatter()->column_width(kHelpColumn);
    app.set_version_flag("--version", "uenv (squenv " SQUENV_VERSION ")", "Print the version");
    app.add_flag("-v,--verbose", io.is_verbose, "Say more on stderr");
    app.add_flag_callback(
        "--no-color", [&] { options.has_colour = false; }, "No colours");
    app.add_flag_callback(
        "--color", [&] { options.has_colour = true; }, "Colours");
    app.add_option("--repo", options.repository, "Repositories: NAME, PATH or NAME=PATH")
        ->type_name("REPO,...");
    app.add_option("--system", options.system, "Of labels that name none")->type_name("NAME");
    app.require_subcommand(1);
    const auto commands = declare_commands(Options(app));
    if (arguments.size() < 2) {
        io.err << app.help();
        return kUsage;
    }
    try {
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - 1));
    } catch (const CLI::ParseError& error) {
        return parse_failed(io, app, error);
    }
    for (const auto& [who, command, declared] : commands) {
        if (!declared.parsed()) continue;
        const Status status = command->run(options, io);
        const int code = report(io, who, status);
        return status ? code : command->failure_status(status.error().code);
    }
    return kUsage;
}

}  // namespace squenv::cli
