// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/text.h"
#include "cli/command.h"
#include "cli/version_changes.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

class HistoryCommand final : public Command {
  public:
    const char* name() const override { return "history"; }
    const char* summary() const override { return "Show the versions of an image"; }
    void declare(Options options) override {
        options.add("IMAGE", image_, "The image file").required();
        const Option pin =
            options.add("--pin", pinned_, "Keep version N when pruning").type_name("N").positive();
        options.add("--unpin", unpinned_, "Prune version N as any other")
            .type_name("N")
            .positive()
            .excludes(pin);
        options.add_flag("--json", is_json_, "Print a JSON array");
    }
    Status run(Io& io) override {
        if (pinned_) SQUENV_TRY(versions::set_pinned(image_, *pinned_, true));
        if (unpinned_) SQUENV_TRY(versions::set_pinned(image_, *unpinned_, false));
        SQUENV_TRY_ASSIGN(all_, versions::history(image_));
        const Status current = check_current(image_);
        if (!current && !versions::are_kept(image_)) return current;
        if (!current && !io.is_quiet)
            io.err << "squenv history: " << printable(current.error().message()) << '\n';
        if (is_json_)
            print_json(io);
        else
            print_text(io);
        return {};
    }

  private:
    void print_json(Io& io);
    void print_text(Io& io);
    [[nodiscard]] std::string words_of(const versions::Version& version) const;

    std::string image_;
    std::optional<std::uint64_t> pinned_;
    std::optional<std::uint64_t> unpinned_;
    bool is_json_ = false;
    std::vector<versions::Version> all_;
    VersionPackages packages_;
};

/// How it came to be, and what it is.
std::string HistoryCommand::words_of(const versions::Version& version) const {
    std::string words = version.origin.verb.empty() ? "(not logged)" : version.origin.verb;
    if (version.origin.verb == "rollback")
        words += fmt::format(" to {}", version.origin.parent);
    else if (!version.origin.command.empty())
        words = version.origin.command;
    if (version.is_current) words += "  [current]";
    if (version.is_pinned) words += "  [pinned]";
    return printable(words);
}

void HistoryCommand::print_text(Io& io) {
    for (std::size_t i = 0; i < all_.size(); ++i) {
        const versions::Version& version = all_[i];
        io.out << fmt::format("{}  {:<8}  {}\n", version_line(version), printable(version.user),
                              words_of(version));
        if (i == 0) {
            const auto& packages = packages_.of(version);
            if (packages && !packages->empty())
                io.out << fmt::format("       {} packages\n", packages->size());
            continue;
        }
        const auto changes = packages_.changes(all_[i - 1], version);
        if (!changes) {
            io.err << "squenv history: version " << version.number
                   << ": packages are not compared: " << printable(changes.error().message())
                   << '\n';
            continue;
        }
        for (const std::string& line : change_lines(*changes)) io.out << "       " << line << '\n';
    }
}

void HistoryCommand::print_json(Io& io) {
    auto json = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < all_.size(); ++i) {
        auto version = version_as_json(all_[i]);
        if (const auto& packages = packages_.of(all_[i])) version["packages"] = packages->size();
        if (i > 0)
            if (const auto changes = packages_.changes(all_[i - 1], all_[i]))
                version["changes"] = changes_as_json(*changes);
        json.push_back(std::move(version));
    }
    io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

}  // namespace

std::unique_ptr<Command> make_history_command() {
    return std::make_unique<HistoryCommand>();
}

}  // namespace squenv::cli
