// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"
#include "mount/live_statistics.h"
#include "mount/mount_table.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

void print_table(std::ostream& out, const Json& json) {
    out << fmt::format("image        {}\n", printable(json.value("image", "")));
    out << fmt::format("daemon       pid {}, up {:.0f} s, peak memory {}\n", json.value("pid", 0),
                       json.value("uptime_seconds", 0.0),
                       format_size(json.value("peak_memory_bytes", std::uint64_t{0})));
    out << fmt::format("requests     {} ({} failed)\n", json.value("requests", std::uint64_t{0}),
                       json.value("errors", std::uint64_t{0}));
    for (const auto& [kind, count] : json.at("requests_by_kind").items())
        if (count.get<std::uint64_t>() != 0)
            out << fmt::format("  {:<12} {:>10}\n", kind, count.get<std::uint64_t>());
    out << fmt::format("served       {}\n",
                       format_size(json.value("bytes_served", std::uint64_t{0})));
    out << fmt::format("stored ahead {}\n",
                       format_size(json.value("bytes_stored_ahead", std::uint64_t{0})));
    out << fmt::format("image reads  {}, {} in {:.3f} s{}\n",
                       json.value("image_reads", std::uint64_t{0}),
                       format_size(json.value("image_bytes_read", std::uint64_t{0})),
                       json.value("image_read_seconds", 0.0),
                       json.value("image_is_staged", false) ? ", now from the staged copy" : "");
    for (const auto& [name, cache] : json.at("caches").items())
        out << fmt::format("cache        {:<11} {} of {}, {} hits, {} misses\n", name,
                           format_size(cache.value("used_bytes", std::uint64_t{0})),
                           format_size(cache.value("budget_bytes", std::uint64_t{0})),
                           cache.value("hits", std::uint64_t{0}),
                           cache.value("misses", std::uint64_t{0}));
}

class StatsCommand final : public Command {
  public:
    const char* name() const override { return "stats"; }
    const char* summary() const override { return "Show the live counters of a mount"; }
    void declare(CLI::App& app) override {
        app.add_option("MOUNTPOINT", mountpoint_, "Where the image is mounted")->required();
        app.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto path, mount::canonical_mountpoint(mountpoint_));
        SQUENV_TRY_ASSIGN(const auto entry, mount::find_mount(path));
        SQUENV_TRY_ASSIGN(const auto text, mount::query_statistics(path, mount::kQueryTimeout,
                                                                   entry ? &*entry : nullptr));
        const auto json = Json::parse(text, nullptr, false);
        if (json.is_discarded())
            return fail(Errc::internal, path + ": the daemon's answer is not JSON");
        if (is_json_)
            io.out << json.dump(2) << '\n';
        else
            print_table(io.out, json);
        return {};
    }

  private:
    std::string mountpoint_;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_stats_command() {
    return std::make_unique<StatsCommand>();
}

}  // namespace squenv::cli
