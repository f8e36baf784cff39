// SPDX-License-Identifier: MIT
// uenv start, uenv run and uenv status.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <sstream>

#include "base/environment.h"
#include "base/text.h"
#include "cli/init_process.h"
#include "cli/launch.h"
#include "cli/uenv.h"
#include "cli/uenv_metadata.h"

namespace squenv::cli {

namespace {

/// The arguments that both ways into a session take.
struct SessionArguments {
    std::string images{};
    ViewOptions views{};

    void declare(Options options) {
        views.declare(options, "-v,--view");
        options.add("uenv", images, "IMAGE[:PATH] or LABEL[:PATH], with commas between several")
            .required();
    }
    /// Opens the images. Errors: exists (in a session), and those of prepare_launch().
    [[nodiscard]] Result<Launch> prepare(const UenvOptions& options, Io& io) const;
};

Result<Launch> SessionArguments::prepare(const UenvOptions& options, Io& io) const {
    if (!present_session().mounts.empty())
        return fail(Errc::exists,
                    "a uenv session is running already, and views do not change in one",
                    "leave it with 'exit'");
    LaunchOptions launch_options;
    SQUENV_TRY_ASSIGN(launch_options.listed, parse_uenv_images(images, options));
    launch_options.views = views;
    stay_as_init();
    SQUENV_TRY_ASSIGN(auto launch, prepare_launch(launch_options, io));
    // Under this name every image counts as a uenv.
    launch.views.has_uenv = true;
    return launch;
}

class UenvStart final : public UenvCommand {
  public:
    Options declare(Options options) override {
        Options start = options.add_subcommand("start", "Start a shell with uenvs");
        arguments_.declare(start);
        start.add_flag("--ignore-tty", ignore_tty_, "Even without a terminal");
        return start;
    }
    Status run(const UenvOptions& options, Io& io) override {
        const char* reason = ::isatty(STDOUT_FILENO) == 0  ? "stdout is none"
                             : ::isatty(STDIN_FILENO) == 0 ? "stdin is none"
                             : !environment_variable("BASH_EXECUTION_STRING").empty()
                                 ? "BASH_EXECUTION_STRING is set"
                                 : nullptr;
        if (reason != nullptr && !ignore_tty_)
            return fail(Errc::environment, std::string("a shell needs a terminal: ") + reason,
                        "use 'uenv run " + arguments_.images + " -- CMD', or --ignore-tty");
        SQUENV_TRY_ASSIGN(const auto launch, arguments_.prepare(options, io));
        return become_shell(launch, io, has_provided_);
    }
    int failure_status(Errc code) const override {
        return has_provided_ ? launch_status(true, code) : UenvCommand::failure_status(code);
    }

  private:
    SessionArguments arguments_;
    bool ignore_tty_ = false;
    bool has_provided_ = false;
};

class UenvRun final : public UenvCommand {
  public:
    Options declare(Options options) override {
        Options run = options.add_subcommand("run", "Run a command with uenvs");
        arguments_.declare(run);
        run.add("commands", command_, "The command and its arguments, after --").required();
        return run;
    }
    Status run(const UenvOptions& options, Io& io) override {
        SQUENV_TRY_ASSIGN(const auto launch, arguments_.prepare(options, io));
        SQUENV_TRY_ASSIGN(const auto held, hold_images(launch, io));
        has_provided_ = true;
        SQUENV_TRY(check_environments(launch, held, command_.front(), io));
        return become(launch, command_);
    }
    int failure_status(Errc code) const override {
        return has_provided_ ? launch_status(true, code) : UenvCommand::failure_status(code);
    }

  private:
    SessionArguments arguments_;
    std::vector<std::string> command_;
    bool has_provided_ = false;
};

/// A uenv of the present session.
struct StartedUenv {
    std::string name{};
    std::string mountpoint{};
    view::Metadata metadata{};
    std::vector<std::string> views{};  ///< those that apply
};

std::vector<std::string> split_words(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

/// What is known of the session. An image that cannot be read any more has its path only.
std::vector<StartedUenv> started_uenvs(const UenvSession& session) {
    std::vector<StartedUenv> all;
    std::size_t anonymous = 0;
    for (const std::string& item : split_words(session.mounts, ',')) {
        const std::size_t colon = item.rfind(':');
        StartedUenv one;
        one.mountpoint = item.substr(colon + 1);
        const std::string image_path = item.substr(0, colon);
        if (const auto image = image::Image::open(image_path))
            if (auto metadata = read_uenv_metadata(image_path, **image); metadata && *metadata) {
                one.metadata = std::move(**metadata);
                one.name = one.metadata.name;
            }
        for (const std::string& view : split_words(session.views, ',')) {
            const auto parts = split_words(view, ':');
            if (parts.size() != 3 || parts[0] != one.mountpoint) continue;
            one.name = parts[1];
            one.views.push_back(parts[2]);
        }
        if (one.name.empty())
            one.name = anonymous == 0 ? "anonymous" : fmt::format("anonymous{}", anonymous - 1);
        if (one.name.starts_with("anonymous")) ++anonymous;
        all.push_back(std::move(one));
    }
    return all;
}

class UenvStatus final : public UenvCommand {
  public:
    Options declare(Options options) override {
        Options status = options.add_subcommand("status", "Show the uenvs of this session");
        status.add_flag("--error-if-unset", error_if_unset_, "Fail when there is none");
        status.add("--format", format_, "full (default), short or views").type_name("FORMAT");
        return status;
    }
    Status run(const UenvOptions& options, Io& io) override {
        if (format_ != "full" && format_ != "short" && format_ != "views")
            return fail(Errc::invalid_argument, "--format " + format_ + ": not known",
                        "use full, short or views");
        const UenvSession session = present_session();
        if (session.mounts.empty()) {
            if (format_ == "full") io.out << "there is no uenv loaded\n";
            // An error without a message: the exit status is the answer.
            return error_if_unset_ ? Status(fail(Errc::not_found, "")) : Status();
        }
        const auto uenvs = started_uenvs(session);
        if (format_ == "full")
            for (const StartedUenv& uenv : uenvs) print(io, options, uenv);
        else
            io.out << line(uenvs) << '\n';
        return {};
    }

  private:
    static void print(Io& io, const UenvOptions& options, const StartedUenv& uenv) {
        io.out << options.cyan(printable(uenv.name)) << ':' << printable(uenv.mountpoint) << '\n';
        if (!uenv.metadata.description.empty())
            io.out << "  " << printable(uenv.metadata.description) << '\n';
        if (uenv.metadata.views.empty()) return;
        io.out << "  views:\n";
        for (const auto& [name, view] : uenv.metadata.views) {
            const bool is_loaded =
                std::find(uenv.views.begin(), uenv.views.end(), name) != uenv.views.end();
            io.out << "    " << options.cyan(printable(name))
                   << (is_loaded ? options.yellow(" (loaded)") : "") << ": "
                   << printable(view.description) << '\n';
        }
    }
    /// "gnu[default,spack],tools" or "gnu,tools".
    [[nodiscard]] std::string line(const std::vector<StartedUenv>& uenvs) const {
        std::string text;
        for (const StartedUenv& uenv : uenvs) {
            std::string views;
            for (const std::string& view : uenv.views) views += (views.empty() ? "" : ",") + view;
            text += (text.empty() ? "" : ",") + printable(uenv.name);
            if (format_ == "views" && !views.empty()) text += '[' + printable(views) + ']';
        }
        return text;
    }

    std::string format_ = "full";
    bool error_if_unset_ = false;
};

}  // namespace

std::unique_ptr<UenvCommand> make_uenv_start() {
    return std::make_unique<UenvStart>();
}

std::unique_ptr<UenvCommand> make_uenv_run() {
    return std::make_unique<UenvRun>();
}

std::unique_ptr<UenvCommand> make_uenv_status() {
    return std::make_unique<UenvStatus>();
}

}  // namespace squenv::cli
