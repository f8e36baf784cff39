// SPDX-License-Identifier: MIT

#include "cli/init_process.h"
#include "cli/launch.h"

namespace squenv::cli {

namespace {

class RunCommand final : public Command {
  public:
    const char* name() const override { return "run"; }
    const char* summary() const override { return "Run a command with images mounted"; }
    void declare(Options options) override {
        options_.declare(options);
        options.footer(
            "CMD begins after --, or with the first word after IMAGES that is no option.");
    }
    std::vector<std::string>* remainder() override { return &command_; }
    const char* usage_tail() const override { return "-- CMD [ARG...]"; }
    const char* stray_word_hint() const override { return "write '--' before the command"; }
    int failure_status(Errc code) const override { return launch_status(has_provided_, code); }
    Status run(Io& io) override {
        if (command_.empty())
            return fail(Errc::invalid_argument, "no command to run",
                        "write squenv run IMAGE -- COMMAND");
        stay_as_init();
        SQUENV_TRY_ASSIGN(const auto launch, prepare_launch(options_, io));
        SQUENV_TRY_ASSIGN(const auto held, hold_images(launch, io));
        has_provided_ = true;
        SQUENV_TRY(check_environments(launch, held, command_.front(), io));
        return become(launch, command_);
    }

  private:
    LaunchOptions options_;
    std::vector<std::string> command_;
    bool has_provided_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run_command() {
    return std::make_unique<RunCommand>();
}

}  // namespace squenv::cli
