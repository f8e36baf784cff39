// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "base/text.h"
#include "cli/command.h"
#include "daemon/upgrade.h"
#include "mount/answer.h"
#include "mount/live_statistics.h"
#include "system/mount_table.h"

namespace squenv::cli {

namespace {

using mount::Answer;

/// A daemon takes upgrades from its first standbys on, 0.1 s after the mount; later on a busy
/// machine.
constexpr double kYoungSeconds = 5;
constexpr timespec kPause{0, 20'000'000};

constexpr const char* kMountAgain = "unmount, and mount again, for another version";

/// Root as well asks no other user's daemon: the program would run as that user.
Status check_upgrade_owner(const system::MountEntry& entry) {
    if (!entry.user_id || *entry.user_id == ::geteuid()) return {};
    return fail(Errc::denied,
                fmt::format("{}: a mount of user {}", entry.mountpoint, *entry.user_id),
                "only the user that mounted it can upgrade it");
}

/// A server whose own file is served by it, or by another one that does so in turn, could wait for
/// itself.
Status check_program(int program) {
    struct stat info {};
    if (::fstat(program, &info) != 0) return fail_errno(errno, "/proc/self/exe");
    SQUENV_TRY_ASSIGN(const auto entries, system::read_mount_table());
    for (const auto& entry : entries)
        if (entry.is_squenv() && (::makedev(0, entry.device_minor) == info.st_dev ||
                                  ::makedev(0, entry.overlay_minor) == info.st_dev))
            return fail(Errc::environment,
                        "this program lies in " + entry.mountpoint + ", which is a mount itself",
                        "call one that is installed outside of images");
    return {};
}

/// Of another program, a mount may have the type of squashfuse, too.
bool is_own(const system::MountEntry& entry) {
    if (!entry.is_squenv() || entry.user_id != ::geteuid()) return false;
    return entry.type == "fuse.squenv" ||
           mount::query_statistics(entry.mountpoint, mount::kQueryTimeout, &entry).has_value();
}

/// One that its daemon serves by itself has no other process to go on.
Status check_failover(const std::string& path, const Answer& facts) {
    const auto daemon = mount::number_in(facts, "pid", 1, mount::kMaxPid);
    if (daemon && daemon != mount::number_in(facts, "server_pid")) return {};
    return fail(Errc::unsupported, path + ": is mounted with failover=off", kMountAgain);
}

Result<daemon::Upgrade> upgrade_entry(const system::MountEntry& entry, int program) {
    const std::string& path = entry.mountpoint;
    for (;; ::nanosleep(&kPause, nullptr)) {
        SQUENV_TRY_ASSIGN(const auto facts, mount::query_answer(path, &entry));
        SQUENV_TRY(check_failover(path, facts));
        auto upgrade = daemon::ask_upgrade(entry.device_minor, program);
        if (upgrade) return upgrade;
        if (upgrade.error().code != Errc::not_found) return with_context(upgrade.error(), path);
        const bool is_young =
            mount::seconds_in(facts, "uptime_seconds").value_or(kYoungSeconds) < kYoungSeconds;
        if (is_young) continue;
        const auto version = mount::text_in(facts, "version").value_or("another");
        return fail(Errc::unsupported,
                    fmt::format("{}: its daemon, version {}, takes no upgrade", path, version),
                    kMountAgain);
    }
}

Result<system::MountEntry> entry_at(const std::string& mountpoint) {
    SQUENV_TRY_ASSIGN(const auto path, system::canonical_mountpoint(mountpoint));
    SQUENV_TRY_ASSIGN(auto entry, system::find_mount(path));
    if (!entry || !entry->type.starts_with("fuse."))
        return fail(Errc::not_found, path + ": no image is mounted here",
                    "'squenv list' shows your mounts");
    SQUENV_TRY(check_upgrade_owner(*entry));
    return std::move(*entry);
}

class UpgradeCommand final : public Command {
  public:
    const char* name() const override { return "upgrade"; }
    const char* summary() const override { return "Serve living mounts by this version"; }
    void declare(Options options) override {
        options.add("MOUNTPOINT", mountpoints_,
                    "Where images are mounted; all of yours by default");
        options.add_flag("--json", is_json_, "Print a JSON array");
    }
    Status run(Io& io) override {
        const UniqueFd program(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
        if (!program) return fail_errno(errno, "/proc/self/exe", "mount /proc");
        SQUENV_TRY(check_program(program.get()));
        SQUENV_TRY(find_entries(io));
        for (const auto& entry : entries_) {
            const auto upgrade = upgrade_entry(entry, program.get());
            if (upgrade)
                note(io, entry.mountpoint, *upgrade);
            else
                note_failure(io, entry.mountpoint, upgrade.error());
        }
        if (is_json_)
            io.out << json_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
        return std::move(status_);
    }

  private:
    /// Errors: the mount table cannot be read.
    Status find_entries(Io& io) {
        for (const auto& mountpoint : mountpoints_) {
            auto entry = entry_at(mountpoint);
            if (entry)
                entries_.push_back(std::move(*entry));
            else
                note_failure(io, mountpoint, entry.error());
        }
        if (!mountpoints_.empty()) return {};
        SQUENV_TRY_ASSIGN(entries_, system::read_mount_table());
        std::erase_if(entries_, std::not_fn(is_own));
        return {};
    }
    void note(Io& io, const std::string& mountpoint, const daemon::Upgrade& upgrade) {
        json_.push_back({{"mountpoint", mountpoint},
                         {"from", upgrade.from},
                         {"to", upgrade.to},
                         {"server_pid", upgrade.server},
                         {"pause_seconds", upgrade.pause_seconds}});
        if (is_json_ || io.is_quiet) return;
        const std::string versions = upgrade.from == upgrade.to
                                         ? upgrade.to + ", started anew"
                                         : upgrade.from + " -> " + upgrade.to;
        io.out << fmt::format("{}: version {}, {:.0f} ms\n", printable(mountpoint),
                              printable(versions), upgrade.pause_seconds * 1e3);
    }
    /// The last one is reported as that of the command.
    void note_failure(Io& io, const std::string& mountpoint, const Error& error) {
        json_.push_back({{"mountpoint", mountpoint}, {"error", error.message()}});
        if (!status_)
            io.err << "squenv upgrade: " << printable_lines(status_.error().message()) << '\n';
        status_ = tl::unexpected(error);
    }

    std::vector<std::string> mountpoints_;
    bool is_json_ = false;
    std::vector<system::MountEntry> entries_;
    nlohmann::ordered_json json_ = nlohmann::ordered_json::array();
    Status status_;
};

}  // namespace

std::unique_ptr<Command> make_upgrade_command() {
    return std::make_unique<UpgradeCommand>();
}

}  // namespace squenv::cli
