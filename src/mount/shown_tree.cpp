// SPDX-License-Identifier: MIT
#include "mount/shown_tree.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cache/entry.h"
#include "cache/lock.h"
#include "mount/background.h"
#include "mount/left_processes.h"
#include "mount/meeting_point.h"
#include "mount/mountpoint_hold.h"
#include "mount/signal_block.h"
#include "mount/starter.h"

namespace squenv::mount {

namespace {

/// How often processes that outlive the last user are looked for.
constexpr int kLeftRetryMs = 500;

/// How often a link that other runs make and remove is tried.
constexpr int kLinkAttempts = 100;

bool is_other_than_link(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 && !S_ISLNK(info.st_mode);
}

std::string target_of(const std::string& path) {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    target.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return target;
}

std::string parent_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
}

Status occupied(const std::string& path) {
    return fail(Errc::exists,
                path + ": something is there already, and nothing can be mounted over it here",
                "move it away, so that a link to the unpacked image can take its place");
}

/// Nothing else is touched: an empty directory at `path` is somebody's mount point.
Status make_link(const std::string& tree, const std::string& path) {
    for (int attempt = 0;; ++attempt) {
        if (::symlink(tree.c_str(), path.c_str()) == 0) return {};
        const int code = errno;
        const std::string target = target_of(path);
        if (target == tree) return {};
        if (code != EEXIST) return fail_errno(code, path + ": cannot be made");
        if (attempt == kLinkAttempts || !target.empty()) return occupied(path);
        // The link of a run that has just ended, or the mount point of an attempt to mount.
        await_mountpoint(path);
        if (is_other_than_link(path)) return occupied(path);
    }
}

void hide(const ShownTree& shown) {
    if (!shown.path.empty() && target_of(shown.path) == shown.tree) ::unlink(shown.path.c_str());
}

/// The entries of the cache whose users this process keeps.
class KeptEntries {
  public:
    explicit KeptEntries(const ShownTree& shown) : path_(shown.entry) {
        locks_.emplace_back(shown.lock);
    }

    /// New users come with the entry that has the name now. They let go of it once they are
    /// admitted.
    void follow() {
        if (cache::is_named(locks_.back().get(), path_)) return;
        if (auto entry = cache::hold_entry(path_)) locks_.push_back(std::move(entry->directory));
    }
    void renew() const {
        for (const auto& lock : locks_) cache::renew_use(lock.get());
    }
    void release() { locks_.clear(); }

  private:
    std::string path_;
    std::vector<UniqueFd> locks_;
};

[[noreturn]] void keep_tree(const ShownTree& shown, Users users,
                            const std::vector<std::string>& created, Background& background) {
    ::prctl(PR_SET_NAME, "squenv-tree");
    forget_starter(Processors::all);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    KeptEntries entries(shown);
    background.report_ready();
    // A link that is gone would take the tree from what the last user has left running.
    while (!users.is_empty() || (!shown.path.empty() && has_left_processes(shown.path))) {
        pollfd waiting{users.ready_fd(), POLLIN, 0};
        const int ready =
            ::poll(&waiting, 1, users.is_empty() ? kLeftRetryMs : cache::kRenewalMs);
        if (ready < 0 && errno != EINTR) break;
        if (ready == 0) entries.renew();
        entries.follow();
        users.serve();
        entries.follow();  // one may have come in between
    }
    hide(shown);
    users.close();
    entries.release();
    remove_mountpoint(created);
    std::_Exit(0);
}

/// The directory that the link goes into, held; and the link.
Result<MountpointHold> show(const ShownTree& shown) {
    if (shown.path.empty()) return MountpointHold{};
    SQUENV_TRY_ASSIGN(auto hold, hold_mountpoint(parent_of(shown.path)));
    const auto status = make_link(shown.tree, shown.path);
    hold.lock.reset();
    if (status) return hold;
    remove_mountpoint(hold.created);
    return tl::unexpected(status.error());
}

/// Starts the process that keeps the tree for its users.
Result<Lease> start_keeping(const ShownTree& shown, const std::vector<std::string>& created,
                            UniqueFd listener, const std::vector<int>& foreign) {
    SQUENV_TRY_ASSIGN(auto first, FirstUser::create());
    SQUENV_TRY_ASSIGN(auto users, Users::create(std::move(listener), std::move(first.user), {}));
    SQUENV_TRY_ASSIGN(auto background, Background::start());
    if (background.is_daemon()) {
        first.ours.reset();
        for (const int fd : foreign)
            if (fd != shown.lock) ::close(fd);
        keep_tree(shown, std::move(users), created, background);
    }
    SQUENV_TRY(background.wait_until_ready());
    return Lease{std::move(first.ours), {}, 0, true};
}

Result<Lease> lead_tree(const ShownTree& shown, UniqueFd listener,
                        const std::vector<int>& foreign) {
    const SignalBlock block;
    SQUENV_TRY_ASSIGN(const auto hold, show(shown));
    auto lease = start_keeping(shown, hold.created, std::move(listener), foreign);
    if (!lease) {
        hide(shown);
        remove_mountpoint(hold.created);
    }
    return lease;
}

}  // namespace

Result<Lease> share_tree(const ShownTree& shown, const std::vector<int>& foreign) {
    // By name alone: a tree that is unpacked anew has the link of the old one.
    return join_or_lead(meeting_name({{FileIdentity{}, shown.tree, shown.path}}, "tree"),
                        [&](UniqueFd listener) {
                            return lead_tree(shown, std::move(listener), foreign);
                        },
                        [] {});
}

}  // namespace squenv::mount
