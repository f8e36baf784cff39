// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "cli/command.h"
#include "cli/given_path.h"
#include "cli/image_argument.h"
#include "cli/image_list.h"
#include "mount/diagnosis.h"

namespace squenv::cli {

namespace {

class DoctorCommand final : public Command {
  public:
    const char* name() const override { return "doctor"; }
    const char* summary() const override { return "Test every way to mount on this machine"; }
    void declare(CLI::App& app) override {
        app.add_option("IMAGE", subject_.image, "Test with this image");
        app.add_option("PATH", subject_.mountpoint, "and there; default: the recorded path");
        app.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(subject_.mountpoint, given_path(subject_.mountpoint));
        consult();
        auto diagnosis = mount::diagnose(subject_);
        if (misplaced_) add_misplaced(diagnosis);
        if (is_json_)
            print_json(io, diagnosis);
        else
            print(io, diagnosis);
        if (diagnosis.has_way()) return {};
        return fail(Errc::environment, "nothing works here", "see the lines marked FAIL");
    }

  private:
    /// What is wrong with the image is told by its probe.
    void consult() {
        if (subject_.image.empty()) return;
        const auto listed = consult_image({subject_.image, subject_.mountpoint}, {});
        if (!listed) return;
        subject_.mountpoint = listed->wanted.request.mountpoint;
        subject_.is_relocatable = listed->wanted.is_relocatable;
        is_given_ = listed->is_given;
        if (const auto status = check_path(*listed, false); !status) misplaced_ = status.error();
    }
    /// Everything may work, and `run` refuses all the same.
    void add_misplaced(mount::Diagnosis& diagnosis) const {
        diagnosis.probes.push_back({"path", false, misplaced_->context, misplaced_->hint});
        for (auto& verdict : diagnosis.verdicts) {
            if (!verdict.works) continue;
            verdict.works = false;
            verdict.reason = is_given_ ? "only with --force: not relocatable"
                                       : "only at a path that is named";
        }
    }
    static void print(Io& io, const mount::Diagnosis& diagnosis) {
        for (const auto& probe : diagnosis.probes) {
            io.out << fmt::format("{:<5} {:<25} {}\n", probe.is_passed ? "ok" : "FAIL",
                                  probe.subject, printable(probe.finding));
            if (!probe.remedy.empty())
                io.out << fmt::format("{:32}{}\n", "", printable(probe.remedy));
        }
        io.out << "\nWays to have an image at its path, in the order 'squenv run' tries them:\n";
        for (const auto& verdict : diagnosis.verdicts)
            io.out << fmt::format("  {:<11} {}{}\n", method_name(verdict.method),
                                  verdict.works ? "yes" : "no: ", printable(verdict.reason));
    }
    static void print_json(Io& io, const mount::Diagnosis& diagnosis) {
        nlohmann::ordered_json json;
        for (const auto& probe : diagnosis.probes)
            json["probes"].push_back({{"subject", probe.subject},
                                      {"passed", probe.is_passed},
                                      {"finding", probe.finding},
                                      {"remedy", probe.remedy}});
        for (const auto& verdict : diagnosis.verdicts)
            json["methods"].push_back({{"method", method_name(verdict.method)},
                                       {"works", verdict.works},
                                       {"reason", verdict.reason}});
        io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    }

    mount::DiagnosisSubject subject_;
    std::optional<Error> misplaced_;  ///< why `run` would not have the image at that path
    bool is_given_ = false;           ///< the user named the path
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
    return std::make_unique<DoctorCommand>();
}

}  // namespace squenv::cli
