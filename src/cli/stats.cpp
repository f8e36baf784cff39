// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"
#include "mount/answer.h"
#include "system/mount_table.h"

namespace squenv::cli {

namespace {

using mount::Answer;

/// A missing member, or one that is no number, is 0: versions differ in what they count.
std::uint64_t count_in(const Answer& json, const char* key) {
    return mount::number_in(json, key).value_or(0);
}

std::string size_in(const Answer& json, const char* key) {
    return format_size(count_in(json, key));
}

void print_caches(std::ostream& out, const Answer& caches) {
    for (const auto& [name, cache] : caches.items())
        out << fmt::format("cache        {:<11} {} of {}, {} hits, {} misses\n", printable(name),
                           size_in(cache, "used_bytes"), size_in(cache, "budget_bytes"),
                           count_in(cache, "hits"), count_in(cache, "misses"));
}

/// How the image is read, and why.
void print_storage(std::ostream& out, const Answer& storage) {
    const double seconds = mount::seconds_in(storage, "latency_seconds").value_or(0);
    out << fmt::format("storage      answers after {:.1f} ms: ", seconds * 1e3);
    if (mount::is_set_in(storage, "is_slow"))
        out << fmt::format("neighbourhoods are read, {} so far, {} are kept\n",
                           count_in(storage, "neighbourhoods_read"),
                           size_in(storage, "neighbourhood_bytes"));
    else
        out << "what is needed is read\n";
}

void print_table(std::ostream& out, const Answer& json) {
    out << fmt::format("image        {}\n", printable(mount::text_in(json, "image").value_or("")));
    out << fmt::format("daemon       pid {}, up {:.0f} s, peak memory {}\n", count_in(json, "pid"),
                       mount::seconds_in(json, "uptime_seconds").value_or(0),
                       size_in(json, "peak_memory_bytes"));
    out << fmt::format(
        "server       pid {}, version {}, {} restarts\n", count_in(json, "server_pid"),
        printable(mount::text_in(json, "server_version").value_or("")), count_in(json, "restarts"));
    out << fmt::format("requests     {} ({} failed)\n", count_in(json, "requests"),
                       count_in(json, "errors"));
    const Answer& kinds = mount::object_in(json, "requests_by_kind");
    for (const auto& kind : kinds.items())
        if (const auto count = count_in(kinds, kind.key().c_str()); count != 0)
            out << fmt::format("  {:<12} {:>10}\n", printable(kind.key()), count);
    out << fmt::format("served       {}\n", size_in(json, "bytes_served"));
    out << fmt::format("stored ahead {}{}\n", size_in(json, "bytes_stored_ahead"),
                       mount::is_set_in(json, "stores_ahead")
                           ? ""
                           : ", because prefetch is off or fusectl is not mounted");
    out << fmt::format(
        "image reads  {}, {} in {:.3f} s{}\n", count_in(json, "image_reads"),
        size_in(json, "image_bytes_read"),
        mount::seconds_in(json, "image_read_seconds").value_or(0),
        mount::is_set_in(json, "image_is_staged") ? ", now from the staged copy" : "");
    print_storage(out, mount::object_in(json, "storage"));
    print_caches(out, mount::object_in(json, "caches"));
}

/// The daemon of a mount decides what it reports. Only root may query that of another user.
Status check_owner(const system::MountEntry& entry) {
    if (!entry.user_id || ::geteuid() == 0 || entry.is_trusted_by(::geteuid())) return {};
    return fail(Errc::denied,
                fmt::format("{}: a mount of user {}", entry.mountpoint, *entry.user_id),
                "only that user and root may ask it");
}

class StatsCommand final : public Command {
  public:
    const char* name() const override { return "stats"; }
    const char* summary() const override { return "Show the live counters of a mount"; }
    void declare(Options options) override {
        options.add("MOUNTPOINT", mountpoint_, "Where the image is mounted").required();
        options.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto path, system::canonical_mountpoint(mountpoint_));
        SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(path));
        struct stat info {};
        if (!entry && ::lstat(path.c_str(), &info) != 0)
            return fail_errno(errno, path, "'squenv list' shows your mounts");
        if (entry) SQUENV_TRY(check_owner(*entry));
        SQUENV_TRY_ASSIGN(const auto answer, mount::query_answer(path, entry ? &*entry : nullptr));
        if (!mount::number_in(answer, "pid", 1, mount::kMaxPid))
            return fail(Errc::unsupported, path + ": does not answer properly");
        if (is_json_)
            io.out << answer.dump(2) << '\n';
        else
            print_table(io.out, answer);
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
