// SPDX-License-Identifier: MIT
#include "run/trial.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/shell_word.h"
#include "cache/cache_directory.h"
#include "daemon/daemon.h"
#include "mount/live_statistics.h"
#include "mount/mountpoint.h"
#include "mount/mountpoint_hold.h"
#include "mount/unmount.h"
#include "mount/userns_mounts.h"
#include "run/mount_remover.h"
#include "run/shared_mount.h"
#include "system/mount_table.h"
#include "system/named_socket.h"
#include "system/signal_block.h"

namespace squenv::run {

namespace {

/// The number of attempts at a cache directory that other processes remove.
constexpr int kCacheAttempts = 20;

/// The name of a mount that was only tried; no image has this name.
constexpr const char* kTrialSource = "squenv-doctor";

/// A directory that exists for one attempt.
class ScratchDirectory {
  public:
    ScratchDirectory() {
        const char* temporary = std::getenv("TMPDIR");
        for (const std::string place :
             {temporary != nullptr ? temporary : "/tmp", "/tmp", "/var/tmp"}) {
            path_ = place + "/squenv-doctor-XXXXXX";
            if (::mkdtemp(path_.data()) != nullptr) return;
        }
        path_.clear();
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory() {
        if (!path_.empty()) ::rmdir(path_.c_str());
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] Status status() const {
        if (!path_.empty()) return {};
        return fail(Errc::denied, "no directory can be made in TMPDIR, /tmp or /var/tmp",
                    "make one of them writable");
    }

  private:
    std::string path_;
};

/// The cache directory. The destructor removes it when it was not there before.
class AskedCache {
  public:
    AskedCache() : is_there_(exists(cache::cache_path())), directory_(cache::cache_directory()) {}
    AskedCache(const AskedCache&) = delete;
    AskedCache& operator=(const AskedCache&) = delete;
    ~AskedCache() {
        if (!is_there_ && directory_) ::rmdir(directory_->c_str());
    }
    [[nodiscard]] const Result<std::string>& directory() const { return directory_; }

  private:
    static bool exists(const std::string& path) {
        struct stat info {};
        return ::lstat(path.c_str(), &info) == 0;
    }

    bool is_there_;
    Result<std::string> directory_;
};

/// How the error of a mount that could not be unmounted begins.
constexpr std::string_view kStays = "a mount cannot be taken away again";

/// The error for a mount at `mountpoint` that could not be unmounted because of `reason`.
tl::unexpected<Error> not_unmounted(Error reason, const std::string& mountpoint, bool is_gone) {
    if (!is_gone) {
        const std::string stays = mountpoint + " stays, dead, until root runs 'umount -l " +
                                  quoted_if_needed(mountpoint) + "'";
        reason.hint = reason.hint.empty() ? stays : reason.hint + "; " + stays;
    }
    return with_context(std::move(reason), kStays);
}

/// Mounts an empty connection on `mountpoint`, which no daemon ever answers, and removes it.
/// `is_made`: the directory was made for this, and may go with the mount.
Status mount_and_unmount(const std::string& mountpoint, mount::Method method, bool is_made) {
    std::optional<MountRemover> remover;
    if (is_made) remover.emplace(mountpoint);
    mount::KernelMount kernel;
    kernel.mountpoint = mountpoint;
    kernel.source = kTrialSource;
    SQUENV_TRY_ASSIGN(auto mounted, mount::mount_kernel(kernel, method));
    mounted.device.reset();
    if (const auto status = mount::unmount(mountpoint, mount::UnmountMode::lazy); !status)
        return not_unmounted(status.error(), mountpoint, remover && remover->remove());
    return {};
}

/// Removes what a trial created. Unlike remove_mountpoint(), it never waits for processes that use
/// it meanwhile.
void remove_made(mount::MountpointHold hold) {
    if (hold.created.empty()) return;
    hold.lock.reset();
    const auto directory = open_file(hold.created.back(), O_RDONLY | O_DIRECTORY);
    // It may have gone with its mount.
    if (!directory && directory.error().sys_errno != ENOENT) return;
    if (directory && ::flock(directory->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return;
    for (auto path = hold.created.rbegin(); path != hold.created.rend(); ++path)
        ::rmdir(path->c_str());
}

/// A mount over a directory in use disturbs its users, if only for milliseconds.
bool is_empty_directory(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_empty(path, error) && !error;
}

/// Whether this user may detach a dead mount at `place`, as every mount there does first.
Status check_detachable(const std::string& place) {
    SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(place));
    if (mount::may_mount_directly() || !entry || entry->user_id == ::geteuid()) return {};
    return fail(Errc::denied, place + ": a dead mount of another user",
                "its owner removes it with 'squenv umount " + place + "'");
}

/// A mount in place that stays would cover a directory of the user for ever.
Status mount_in_place_and_unmount(const std::string& place, mount::Method method, bool is_made) {
    if (!is_empty_directory(place)) return try_on_scratch(method);
    const auto before = is_made ? Status() : try_on_scratch(method);
    if (!before && before.error().context.starts_with(kStays)) return before;
    return mount_and_unmount(place, method, is_made);
}

/// The steps of a leader in shared_mount.cpp, up to the mount.
Status lead_for_a_moment(const std::string& place, mount::Method method) {
    if (has_dead_mount(place)) {
        SQUENV_TRY(check_detachable(place));
        return try_on_scratch(method);
    }
    SQUENV_TRY(mount::clear_mountpoint(place));
    SQUENV_TRY_ASSIGN(auto hold, mount::hold_mountpoint(place));
    auto status = mount::check_mountpoint(place);
    if (status) status = mount_in_place_and_unmount(place, method, !hold.created.empty());
    remove_made(std::move(hold));
    return status;
}

}  // namespace

Status check_answers(const std::string& place) {
    SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(place));
    if (!entry || !entry->is_squenv()) return {};
    const auto statistics = mount::query_statistics(place, mount::kQueryTimeout, &*entry);
    if (statistics || statistics.error().code != Errc::busy) return {};
    return tl::unexpected(statistics.error());
}

bool has_dead_mount(const std::string& place) {
    const auto entry = system::find_mount(place);
    if (!entry || !*entry || !(*entry)->type.starts_with("fuse")) return false;
    if (!(*entry)->is_squenv()) return mount::is_stale(place);
    // The kernel may know the attributes of the root for ever, and need no daemon for them.
    const auto statistics = mount::query_statistics(place, mount::kQueryTimeout, &**entry);
    return !statistics && (statistics.error().sys_errno == ENOTCONN || mount::is_stale(place));
}

Result<CacheState> check_cache() {
    SQUENV_TRY(cache::cache_size_limit());
    for (int attempt = 1;; ++attempt) {
        const AskedCache asked;
        SQUENV_TRY_ASSIGN(const std::string directory, asked.directory());
        const std::string path = fmt::format("{}/.trial-{}", directory, ::getpid());
        const char* const next_step = "name a directory on a local disk in SQUENV_CACHE";
        const auto file = open_file(path, O_RDWR | O_CREAT, 0600);
        // Another trial has removed the empty directory.
        if (!file && file.error().sys_errno == ENOENT && attempt < kCacheAttempts) continue;
        if (!file) return fail_errno(file.error().sys_errno, path, next_step);
        ::unlink(path.c_str());
        return CacheState{directory, ::flock(file->get(), LOCK_SH | LOCK_NB) == 0};
    }
}

Status check_link(const std::string& place) {
    // A mount is not looked at: it may be another user's, or wait for a daemon that does not
    // answer.
    std::error_code error;
    const bool is_mount = system::is_mountpoint(place);
    if (!is_mount) mount::await_mountpoint(place);
    const auto target =
        is_mount ? std::string() : std::filesystem::read_symlink(place, error).string();
    if (!is_mount && target.starts_with(cache::cache_path() + '/')) return {};
    // A single call decides: a link of another run may be removed at any time.
    if (is_mount || !error || error == std::errc::invalid_argument)
        return fail(Errc::exists,
                    place + ": something is there already, and nothing can be mounted over it here",
                    "move it away, so that a link to the unpacked image can take its place");
    for (int attempt = 1;; ++attempt) {
        SQUENV_TRY_ASSIGN(
            const auto parent,
            mount::nearest_directory(std::filesystem::path(place).parent_path().string()));
        if (::access(parent.c_str(), W_OK | X_OK) == 0) return {};
        // A run that ends has removed the directory that it had made.
        if (errno == ENOENT && attempt < kCacheAttempts) continue;
        return fail_errno(errno, place + ": does not exist and cannot be made in " + parent);
    }
}

Status check_tree_place(const std::string& place) {
    if (check_link(place)) return {};
    SQUENV_TRY(system::check_single_thread());
    const system::SignalBlock block;
    Status status;
    for (int attempt = 0; attempt < kCacheAttempts; ++attempt) {
        const AskedCache asked;
        // The directory of the tree, which is not there yet.
        mount::UsernsMount bound;
        bound.kernel.mountpoint = place;
        SQUENV_TRY_ASSIGN(bound.bind_source, asked.directory());
        const auto made = mount::make_userns_mounts({bound});
        if (made) return {};
        status = tl::unexpected(made.error());
        // Another trial has removed the empty directory.
        if (made.error().sys_errno != ENOENT) break;
    }
    return status;
}

Status try_on_scratch(mount::Method method) {
    const system::SignalBlock block;
    const ScratchDirectory scratch;
    SQUENV_TRY(scratch.status());
    if (method != mount::Method::userns) return mount_and_unmount(scratch.path(), method, true);
    SQUENV_TRY(system::check_single_thread());
    mount::UsernsMount mount;
    mount.kernel.mountpoint = scratch.path();
    mount.kernel.source = kTrialSource;
    SQUENV_TRY(mount::make_userns_mounts({mount}));
    return {};
}

Result<std::string> try_in_place(const daemon::Request& request, const std::string& place,
                                 mount::Method method) {
    if (method == mount::Method::direct && !mount::may_mount_directly())
        return fail(Errc::denied, "needs CAP_SYS_ADMIN",
                    "only root has it; not needed if another way works");
    SQUENV_TRY(daemon::open_request(request));
    const auto name = daemon::rendezvous_name_of(request, place);
    const auto visited = system::visit_name(name);
    if (visited && *visited) {
        SQUENV_TRY(check_answers(place));
        return std::string("joins the mount that is there");
    }
    const system::SignalBlock block;
    // While this is held, runs of the same image wait for this process as for a run that mounts it.
    const auto turn = system::claim_name(name);
    SQUENV_TRY(lead_for_a_moment(place, method));
    return std::string();
}

Status try_in_namespace(const daemon::Request& request, const std::string& place) {
    SQUENV_TRY(system::check_single_thread());
    SQUENV_TRY_ASSIGN(auto opened, daemon::open_request(request));
    opened.mountpoint = place;
    const system::SignalBlock block;
    // A dead mount is left for `run` to remove.
    mount::MountpointHold hold;
    if (!has_dead_mount(place)) hold = mount::hold_for_userns(place);
    mount::UsernsMount mount;
    mount.kernel = daemon::kernel_mount_of(request, opened);
    const auto made = mount::make_userns_mounts({mount});
    remove_made(std::move(hold));
    if (!made) return tl::unexpected(made.error());
    return {};
}

}  // namespace squenv::run
