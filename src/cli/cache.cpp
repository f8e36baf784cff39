// SPDX-License-Identifier: MIT
#include "cache/tree_cache.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"

namespace squenv::cli {

namespace {

nlohmann::ordered_json to_json(const cache::CacheEntry& entry) {
    return {{"digest", entry.name},
            {"image", entry.image},
            {"size_bytes", entry.size_bytes},
            {"last_used", entry.last_used},
            {"in_use", entry.is_used}};
}

class CacheCommand final : public Command {
  public:
    const char* name() const override { return "cache"; }
    const char* summary() const override { return "Show or remove unpacked images"; }
    void declare(Options options) override {
        options.require_subcommand();
        list_ =
            options.add_subcommand("list", "Show the unpacked images of this user on this node");
        for (Options sub :
             {list_, options.add_subcommand("clean", "Remove those that no process uses")})
            sub.fallthrough().add_flag("--json", is_json_, "Print a JSON array");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto entries,
                          list_.parsed() ? cache::list_trees() : cache::remove_unused_trees());
        if (is_json_) {
            auto json = nlohmann::ordered_json::array();
            for (const auto& entry : entries) json.push_back(to_json(entry));
            io.out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
            return {};
        }
        if (io.is_quiet && !list_.parsed()) return {};
        for (const auto& entry : entries)
            io.out << fmt::format(
                "{:.12}  {:>10}  {:%F %R}  {:<6}  {}\n", entry.name, format_size(entry.size_bytes),
                fmt::localtime(entry.last_used),
                list_.parsed() ? (entry.is_used ? "in use" : "") : "removed",
                entry.image.empty() ? "of an image that is not known" : printable(entry.image));
        return {};
    }

  private:
    Options list_;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cache_command() {
    return std::make_unique<CacheCommand>();
}

}  // namespace squenv::cli
