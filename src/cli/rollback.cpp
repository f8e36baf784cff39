// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/command.h"
#include "cli/own_command.h"
#include "cli/version_changes.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

class RollbackCommand final : public Command {
  public:
    const char* name() const override { return "rollback"; }
    const char* summary() const override { return "Make an earlier version of an image current"; }
    const char* stray_word_hint() const override { return "name the version with --to"; }
    void declare(Options options) override {
        options.add("IMAGE", image_, "The image file").required();
        options.add("--to", options_.to, "Which; default: the one before the current")
            .type_name("N")
            .positive();
        options.add_flag("-n,--dry-run", options_.is_dry_run, "Only say what would change");
        options.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        if (!versions::are_kept(image_)) SQUENV_TRY(check_current(image_));
        options_.command = own_command();
        SQUENV_TRY_ASSIGN(const auto done, versions::rollback(image_, options_));
        if (!done.made.access_note.empty() && !io.is_quiet)
            io.err << "squenv rollback: " << printable(done.made.access_note) << '\n';
        if (is_json_)
            print_json(io, done);
        else if (!io.is_quiet)
            print_text(io, done);
        return {};
    }

  private:
    void print_text(Io& io, const versions::Rollback& done) const;
    void print_json(Io& io, const versions::Rollback& done) const;

    std::string image_;
    versions::RollbackOptions options_;
    bool is_json_ = false;
};

bool is_current_already(const versions::Rollback& done) {
    return done.made.number != 0 && done.made.number == done.from.number;
}

void RollbackCommand::print_text(Io& io, const versions::Rollback& done) const {
    const std::string image = printable(image_);
    const auto target = done.target.number;
    if (is_current_already(done)) {
        io.out << fmt::format("{}: the content of version {} is current already\n", image, target);
        return;
    }
    const std::string was = done.from.number == 0 ? "" : fmt::format(" (now {})", done.from.number);
    if (!options_.is_dry_run) {
        io.out << fmt::format("{}: version {} is what version {} was\n", image, done.made.number,
                              target);
        return;
    }
    io.out << fmt::format("{}: would make the content of version {} current{}\n", image, target,
                          was);
    if (done.from.number == 0) return;
    VersionPackages packages;
    if (const auto changes = packages.changes(done.from, done.target))
        for (const std::string& line : change_lines(*changes)) io.out << "  " << line << '\n';
}

void RollbackCommand::print_json(Io& io, const versions::Rollback& done) const {
    nlohmann::ordered_json json{{"image", image_},
                                {"from", done.from.number},
                                {"to", done.target.number},
                                {"version", done.made.number},
                                {"dry_run", options_.is_dry_run}};
    if (options_.is_dry_run) {
        VersionPackages packages;
        if (const auto changes = packages.changes(done.from, done.target))
            json["changes"] = changes_as_json(*changes);
    }
    io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

}  // namespace

std::unique_ptr<Command> make_rollback_command() {
    return std::make_unique<RollbackCommand>();
}

}  // namespace squenv::cli
