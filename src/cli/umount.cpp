// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ostream>

#include "base/text.h"
#include "cli/command.h"
#include "mount/connection.h"
#include "mount/live_statistics.h"
#include "mount/mountpoint_hold.h"
#include "mount/unmount.h"
#include "system/mount_table.h"
#include "system/namespaces.h"

namespace squenv::cli {

namespace {

/// Between attempts to remove a busy mount: it may be busy for a moment only.
constexpr timespec kFirstPause{0, 5'000'000};
constexpr timespec kLastPause{0, 640'000'000};

/// A mount made as squashfuse may have any type: then only a query decides.
bool is_ours(const system::MountEntry& entry) {
    return entry.is_squenv() ||
           (entry.type.starts_with("fuse.") &&
            mount::query_statistics(entry.mountpoint, mount::kQueryTimeout, &entry));
}

class UmountCommand final : public Command {
  public:
    const char* name() const override { return "umount"; }
    const char* summary() const override { return "Unmount a mount point"; }
    void declare(Options options) override {
        options.add("MOUNTPOINT", mountpoint_, "Where the image is mounted").required();
        const Option lazy =
            options.add_flag("-l,--lazy", is_lazy_, "Detach now, end with the last user");
        options.add_flag("-w,--wait", waits_, "Wait until this mount is gone").excludes(lazy);
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto path, system::canonical_mountpoint(mountpoint_));
        SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(path));
        // Another user's mount may report anything; root may unmount it.
        const auto owner = entry ? entry->user_id.value_or(::geteuid()) : ::geteuid();
        const bool is_foreign = owner != ::geteuid() && ::geteuid() != 0;
        if (is_foreign && entry->is_squenv())
            return fail_errno(EPERM, fmt::format("{}: a mount of user {}", path, owner),
                              "only the user that mounted it can unmount it");
        if (!entry && waits_) return after_removal(path);
        if (!entry || is_foreign || !is_ours(*entry))
            return fail(Errc::not_found, path + ": no image is mounted here",
                        "'squenv list' shows your mounts");
        // Started inside the mount, this process would keep it busy itself.
        if (::chdir("/") != 0) return fail_errno(errno, "/");
        const auto status = remove(io, *entry);
        if (status) return is_lazy_ ? status : after_removal(path);
        if (status.error().sys_errno == EPERM && status.error().hint.empty())
            return fail_errno(EPERM, path,
                              "only the user that mounted it can unmount it; in "
                              "a namespace of 'squenv run' it goes with the command");
        if (status.error().sys_errno != EBUSY) return status;
        for (const auto& holder : mount::find_holders(path))
            io.err << "squenv umount: process " << holder.pid << " (" << printable(holder.command)
                   << ") holds it: " << holder.how << '\n';
        return fail_errno(EBUSY, path, "end what holds it, or use --lazy");
    }

  private:
    Status remove(Io& io, const system::MountEntry& entry) const {
        if (is_lazy_) return detach(io, entry);
        if (waits_) return wait_until_gone(entry);
        return unmount(entry.mountpoint, mount::UnmountMode::normal);
    }
    /// As mount::unmount(). No fusermount3 works in a user namespace.
    static Status unmount(const std::string& path, mount::UnmountMode mode) {
        auto status = mount::unmount(path, mode);
        if (status || status.error().code != Errc::environment ||
            system::is_initial_user_namespace())
            return status;
        return fail(Errc::environment, path + ": cannot be unmounted in this user namespace",
                    "a mount of 'squenv run' goes with the command; unmount others outside");
    }
    /// Processes that use a mount without an answering daemon wait in the kernel, and cannot be
    /// killed.
    static Status detach(Io& io, const system::MountEntry& entry) {
        const auto answer = mount::query_statistics(entry.mountpoint, mount::kQueryTimeout, &entry);
        const bool is_silent = !answer && answer.error().code == Errc::busy;
        // First, because unmounting waits for a thread of the daemon that is stuck in a store.
        const Status ended = is_silent ? mount::abort_connection(entry.device_minor) : Status();
        SQUENV_TRY(unmount(entry.mountpoint, mount::UnmountMode::lazy));
        if (!is_silent) return {};
        if (!ended)
            return with_context(ended.error(), entry.mountpoint +
                                                   ": detached, but processes that "
                                                   "use it may hang");
        io.err
            << "squenv umount: " << printable(entry.mountpoint)
            << ": the daemon did not answer; its connection is ended, and its users get errors\n";
        return {};
    }
    /// The mount is gone. A mount point that was made for it goes next; what a script makes there
    /// must not go with it.
    static Status after_removal(const std::string& path) {
        mount::await_mountpoint(path);
        return {};
    }
    /// Waits until the mount that `entry` describes is gone, by this process or another.
    static Status wait_until_gone(const system::MountEntry& entry) {
        timespec pause = kFirstPause;
        while (system::minor_at(entry.mountpoint) == entry.device_minor) {
            const auto status = unmount(entry.mountpoint, mount::UnmountMode::normal);
            // Whatever the reason was, it may be that the mount has just gone.
            const bool is_gone = system::minor_at(entry.mountpoint) != entry.device_minor;
            if (status || is_gone) continue;
            if (status.error().sys_errno != EBUSY) return status;
            ::nanosleep(&pause, nullptr);
            pause.tv_nsec = std::min(2 * pause.tv_nsec, kLastPause.tv_nsec);
        }
        return {};
    }

    std::string mountpoint_;
    bool is_lazy_ = false;
    bool waits_ = false;
};

}  // namespace

std::unique_ptr<Command> make_umount_command() {
    return std::make_unique<UmountCommand>();
}

}  // namespace squenv::cli
