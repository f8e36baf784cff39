// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include <ostream>

#include "base/text.h"
#include "cli/init_process.h"
#include "cli/launch.h"
#include "cli/shell_start.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

/// "(project) ": the images by the names of their environments.
std::string prompt_mark(const std::vector<run::Placement>& placements) {
    std::string names;
    for (const auto& placement : placements)
        names += (names.empty() ? "" : " ") + venv::prompt_name(placement.mountpoint);
    return '(' + names + ") ";
}

/// The prefix that CONDA_PREFIX names, or "".
std::string conda_prefix(const Launch& launch, const run::HeldMounts& held) {
    for (std::size_t i = 0; i < launch.images.size(); ++i)
        if (launch.images[i].kind == venv::EnvironmentKind::conda)
            return held.placements[i].mountpoint;
    return {};
}

/// The names of the variables set for the environments: start-up files, as that of "conda init",
/// set them anew.
std::vector<std::string> active_variables(const Launch& launch) {
    std::vector<std::string> names;
    for (const auto& image : launch.images) {
        if (image.kind == venv::EnvironmentKind::none) continue;
        for (const auto& change : venv::activation("/", "", image.kind))
            if (!change.is_removed && !change.is_default && change.name != "PATH")
                names.push_back(change.name);
    }
    return names;
}

class ShellCommand final : public Command {
  public:
    const char* name() const override { return "shell"; }
    const char* summary() const override { return "Start a shell with images mounted"; }
    void declare(CLI::App& app) override {
        options_.declare(app);
        app.footer("'exit' leaves the shell.");
    }
    /// Accepts a command only to report that it does not belong here.
    std::vector<std::string>* remainder() override { return &command_; }
    const char* stray_word_hint() const override {
        return "'squenv run IMAGE -- CMD' runs a command";
    }
    int failure_status(Errc code) const override { return launch_status(has_provided_, code); }
    Status run(Io& io) override;

  private:
    LaunchOptions options_;
    std::vector<std::string> command_;
    bool has_provided_ = false;
};

Status ShellCommand::run(Io& io) {
    if (!command_.empty())
        return fail(Errc::invalid_argument, command_.front() + ": a shell is given no command",
                    "write squenv run " + options_.images + " -- CMD");
    stay_as_init();
    SQUENV_TRY_ASSIGN(const auto launch, prepare_launch(options_, io));
    if (is_active_already(launch))
        return fail(Errc::exists, options_.images + ": this shell has it already",
                    "'exit' leaves it");
    SQUENV_TRY_ASSIGN(const auto held, hold_images(launch));
    has_provided_ = true;
    SQUENV_TRY(check_environments(launch, held, "", io));
    const std::string shell = user_shell();
    if (!is_adapted(shell) && !io.is_quiet)
        io.err << "squenv: " << printable(shell)
               << ": is started as it is; a PATH that its start-up files set hides the "
                  "environment, see squenv-shell(1)\n";
    SQUENV_TRY_ASSIGN(const auto command,
                      shell_command(shell, {prompt_mark(held.placements), active_variables(launch),
                                            conda_prefix(launch, held)}));
    return become(launch, command);
}

}  // namespace

std::unique_ptr<Command> make_shell_command() {
    return std::make_unique<ShellCommand>();
}

}  // namespace squenv::cli
