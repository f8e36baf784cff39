// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/given_path.h"
#include "cli/image_argument.h"
#include "cli/image_list.h"
#include "diff/image_tree.h"
#include "run/doctor.h"
#include "system/mount_table.h"
#include "venv/interpreter.h"

namespace squenv::cli {

namespace {

class DoctorCommand final : public Command {
  public:
    const char* name() const override { return "doctor"; }
    const char* summary() const override { return "Test every way to mount on this machine"; }
    void declare(Options options) override {
        options.add("IMAGE", subject_.image, "Test with this image");
        options.add("PATH", path_, "and there; default: the recorded path");
        options.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        guard_standard_fds();
        SQUENV_TRY_ASSIGN(path_, given_path(path_));
        consult_image();
        subject_.interpreter = probe_interpreter();
        const auto diagnosis = run::diagnose(subject_);
        if (is_json_)
            print_json(io, diagnosis);
        else if (!io.is_quiet)
            print(io, diagnosis);
        // No way shows what cannot be opened; the lines are about the machine.
        if (subject_.refusal && !subject_.wanted) {
            Error reason = *subject_.refusal;
            reason.code = Errc::environment;
            return tl::unexpected(reason);
        }
        if (diagnosis.has_way()) return {};
        return fail(Errc::environment, "nothing works here", "see the lines marked FAIL");
    }

  private:
    /// The request that `run` makes of the arguments, or the reason why it stops there.
    void consult_image() {
        if (subject_.image.empty()) return;
        const std::vector<ListedImage> list{{subject_.image, path_}};
        auto resolved = resolve_images(list, {}, false);
        if (!resolved) {
            subject_.refusal = resolved.error();
            resolved = resolve_images(list, {}, true);
            if (resolved) subject_.refusal->context += "; it goes there only with --force";
        }
        if (resolved) subject_.wanted = resolved->front().wanted;
    }
    /// Nothing when the image has no environment, or one with a Python of its own.
    [[nodiscard]] std::optional<run::Probe> probe_interpreter() const;
    static void print(Io& io, const run::Diagnosis& diagnosis) {
        for (const auto& probe : diagnosis.probes) {
            io.out << fmt::format("{:<5} {:<25} {}\n", probe.is_passed ? "ok" : "FAIL",
                                  probe.subject, printable(probe.finding));
            if (!probe.remedy.empty())
                io.out << fmt::format("{:32}{}\n", "", printable(probe.remedy));
        }
        io.out << "\nWays to have an image at its path, in the order 'squenv run' tries them:\n";
        for (const auto& verdict : diagnosis.verdicts)
            io.out << fmt::format("  {:<11} {}{}\n", method_name(verdict.method), answer(verdict),
                                  printable(verdict.reason));
    }
    static const char* answer(const run::Verdict& verdict) {
        if (!verdict.works) return "no: ";
        return verdict.reason.empty() ? "yes" : "yes: ";
    }
    static void print_json(Io& io, const run::Diagnosis& diagnosis) {
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

    run::DiagnosisSubject subject_;
    std::string path_;  ///< "" is the recorded path
    bool is_json_ = false;
};

std::optional<run::Probe> DoctorCommand::probe_interpreter() const {
    if (!subject_.wanted) return std::nullopt;
    const auto image = image::Image::open(subject_.image);
    if (!image) return std::nullopt;
    const auto& request = subject_.wanted->request;
    const diff::ImageTree files(**image, request.view.subdirectory);
    const std::string root =
        system::canonical_mountpoint(request.mountpoint).value_or(request.mountpoint);
    std::string python;
    const auto state = venv::inspect_interpreter(files, root, &python);
    if (!state) return std::nullopt;
    if (!state->is_usable()) return run::Probe{"interpreter", false, state->finding, state->remedy};
    if (python.empty() || python.starts_with(root + '/')) return std::nullopt;
    return run::Probe{"interpreter", true, python, {}};
}

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
    return std::make_unique<DoctorCommand>();
}

}  // namespace squenv::cli
