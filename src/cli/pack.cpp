// SPDX-License-Identifier: MIT
#include <memory>
#include <ostream>
#include <string>

#include "cli/command.h"
#include "cli/pack_options.h"
#include "cli/pack_report.h"
#include "cli/pack_steps.h"

namespace squenv::cli {

namespace {

class PackCommand final : public Command {
  public:
    explicit PackCommand(const char* who) : who_(who) {}
    const char* name() const override { return "pack"; }
    const char* summary() const override { return "Pack a tree into an image"; }
    void declare(Options options) override { arguments_.declare(options); }
    Status run(Io& io) override {
        PackSteps steps(who_, arguments_);
        SQUENV_TRY_ASSIGN(const pack::Report report, steps.run(io));
        SQUENV_TRY_ASSIGN(const std::string output, arguments_.output());
        if (arguments_.is_json())
            io.out << as_json(output, report, steps.around()) << '\n';
        else if (!io.is_quiet)
            print_summary(io.out, output, report, steps.around());
        return {};
    }

  private:
    const char* const who_;
    PackArguments arguments_;
};

}  // namespace

std::unique_ptr<Command> make_pack_command(const char* who) {
    return std::make_unique<PackCommand>(who);
}

}  // namespace squenv::cli
