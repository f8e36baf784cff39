// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "cli/launch.h"
#include "cli/shell_start.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

/// "(project) ": the images by the names of their environments.
std::string prompt_mark(const std::vector<mount::Placement>& placements) {
    std::string names;
    for (const auto& placement : placements)
        names += (names.empty() ? "" : " ") + venv::prompt_name(placement.mountpoint);
    return '(' + names + ") ";
}

class ShellCommand final : public Command {
  public:
    const char* name() const override { return "shell"; }
    const char* summary() const override { return "Start a shell with images mounted"; }
    void declare(CLI::App& app) override { options_.declare(app); }
    int failure_status(Errc code) const override { return launch_status(has_provided_, code); }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto launch, prepare_launch(options_, io));
        if (is_active_already(launch))
            return fail(Errc::exists, options_.images + ": this shell has it already",
                        "'exit' leaves it");
        SQUENV_TRY_ASSIGN(const auto provision, provide_images(launch, io));
        has_provided_ = true;
        SQUENV_TRY_ASSIGN(const auto command,
                          shell_command(user_shell(), prompt_mark(provision.placements)));
        return become(launch, command);
    }

  private:
    LaunchOptions options_;
    bool has_provided_ = false;
};

}  // namespace

std::unique_ptr<Command> make_shell_command() {
    return std::make_unique<ShellCommand>();
}

}  // namespace squenv::cli
