// SPDX-License-Identifier: MIT

#include "cli/init_process.h"
#include "cli/launch.h"
#include "cli/shell_prompt.h"

namespace squenv::cli {

namespace {

class ShellCommand final : public Command {
  public:
    const char* name() const override { return "shell"; }
    const char* summary() const override { return "Start a shell with images mounted"; }
    void declare(Options options) override {
        options_.declare(options);
        options.footer("'exit' leaves the shell.");
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
    return become_shell(launch, io, has_provided_);
}

}  // namespace

Status become_shell(const Launch& launch, Io& io, bool& has_provided) {
    SQUENV_TRY_ASSIGN(const auto held, hold_images(launch, io));
    has_provided = true;
    SQUENV_TRY(check_environments(launch, held, "", io));
    SQUENV_TRY_ASSIGN(const auto command, interactive_shell(launch, held.placements, io));
    return become(launch, command);
}

std::unique_ptr<Command> make_shell_command() {
    return std::make_unique<ShellCommand>();
}

}  // namespace squenv::cli
