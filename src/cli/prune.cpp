// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/paths.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/mounted_images.h"
#include "cli/version_changes.h"
#include "edit/session.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr std::uint64_t kMostVersions = 1'000'000;

class PruneCommand final : public Command {
  public:
    const char* name() const override { return "prune"; }
    const char* summary() const override { return "Remove old versions of an image"; }
    void declare(Options options) override {
        options.add("IMAGE", image_, "The image file").required();
        options.add("--keep", keep_, "The newest N stay, the current one among them (3)")
            .type_name("N")
            .range(std::uint64_t{1}, kMostVersions);
        options.add("--older-than", age_, "Only what was replaced longer ago, as 12h or 30d")
            .type_name("AGE");
        options.add_flag("-n,--dry-run", options_.is_dry_run, "Only say what would go");
        options.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        options_.keep = keep_;
        if (!age_.empty()) {
            auto age = parse_age(age_);
            if (!age) return with_context(age.error(), "--older-than");
            options_.older_than_seconds = *age;
        }
        // What is there in its place must not count as the newest.
        SQUENV_TRY(check_current(image_));
        options_.is_mounted = MountedImages();
        options_.reason_to_stay =
            [edited = edit::edited_versions(real_path(image_))](std::uint64_t number) {
                const auto found = edited.contains(0) ? edited.find(0) : edited.find(number);
                return found == edited.end() ? std::string() : found->second;
            };
        SQUENV_TRY_ASSIGN(const auto pruned, versions::prune(image_, options_));
        if (is_json_)
            print_json(io, pruned);
        else if (!io.is_quiet)
            print_text(io, pruned);
        return {};
    }

  private:
    void print_text(Io& io, const versions::Pruned& pruned) const;
    void print_json(Io& io, const versions::Pruned& pruned) const;

    std::string image_;
    std::optional<std::uint64_t> keep_;
    std::string age_;
    versions::PruneOptions options_;
    bool is_json_ = false;
};

void PruneCommand::print_text(Io& io, const versions::Pruned& pruned) const {
    const char* verb = options_.is_dry_run ? "would go" : "removed";
    for (const auto& version : pruned.removed)
        io.out << version_line(version) << "  " << verb << '\n';
    for (const auto& [version, reason] : pruned.spared)
        io.out << version_line(version) << "  stays: " << reason << '\n';
    io.out << fmt::format("{}: {} of {} versions {}, {} {}\n", printable(image_),
                          pruned.removed.size(), pruned.removed.size() + pruned.left.size(), verb,
                          format_size(pruned.freed_bytes),
                          options_.is_dry_run ? "would be freed" : "freed");
}

void PruneCommand::print_json(Io& io, const versions::Pruned& pruned) const {
    nlohmann::ordered_json json{
        {"image", image_}, {"dry_run", options_.is_dry_run}, {"freed_bytes", pruned.freed_bytes}};
    json["removed"] = nlohmann::ordered_json::array();
    for (const auto& version : pruned.removed) json["removed"].push_back(version.number);
    json["spared"] = nlohmann::ordered_json::array();
    for (const auto& [version, reason] : pruned.spared)
        json["spared"].push_back({{"number", version.number}, {"reason", reason}});
    json["left"] = nlohmann::ordered_json::array();
    for (const auto& version : pruned.left) json["left"].push_back(version.number);
    io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

}  // namespace

std::unique_ptr<Command> make_prune_command() {
    return std::make_unique<PruneCommand>();
}

}  // namespace squenv::cli
