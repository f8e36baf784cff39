// SPDX-License-Identifier: MIT
#include "run/tree_link.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/file_lock.h"
#include "cache/entry.h"
#include "cache/tree_name.h"
#include "mount/mountpoint_hold.h"
#include "share/left_processes.h"
#include "share/rendezvous.h"
#include "system/background.h"
#include "system/mount_table.h"
#include "system/signal_block.h"
#include "system/starter.h"

namespace squenv::run {

namespace {

/// Between searches for processes that outlive the last member.
constexpr int kLeftRetryMs = 500;

/// The number of attempts at a link that other runs make and remove.
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

/// Leaves everything else as it is: an empty directory at `path` is the mount point of another
/// process.
Status make_link(const std::string& tree, const std::string& path) {
    for (int attempt = 0;; ++attempt) {
        if (::symlink(tree.c_str(), path.c_str()) == 0) return {};
        const int code = errno;
        const std::string target = target_of(path);
        if (target == tree) return {};
        if (code != EEXIST) return fail_errno(code, path + ": cannot be made");
        if (attempt == kLinkAttempts || !target.empty()) return occupied(path);
        // The link of a run that has just ended, or the mount point of an attempt to mount.
        mount::await_mountpoint(path);
        if (is_other_than_link(path)) return occupied(path);
    }
}

void hide(const TreeLink& link) {
    if (!link.path.empty() && target_of(link.path) == link.tree) ::unlink(link.path.c_str());
}

/// The cache entries that this process keeps for its members.
class KeptEntries {
  public:
    explicit KeptEntries(const TreeLink& link) : path_(link.entry) {
        locks_.emplace_back(link.lock);
    }

    /// A new member comes with the entry that has the name now. It closes that entry once it is
    /// admitted.
    void follow() {
        if (is_named(locks_.back().get(), path_)) return;
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

[[noreturn]] void keep_tree(const TreeLink& link, share::Members members,
                            const std::vector<std::string>& created,
                            system::Background& background) {
    ::prctl(PR_SET_NAME, "squenv-tree");
    system::forget_starter(system::Processors::all);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    KeptEntries entries(link);
    background.report_ready();
    // Without the link, the processes that the last member has left running lose the tree.
    while (!members.is_empty() || (!link.path.empty() && share::has_left_processes(link.path))) {
        pollfd waiting{members.ready_fd(), POLLIN, 0};
        const int ready =
            ::poll(&waiting, 1, members.is_empty() ? kLeftRetryMs : cache::kRenewalMs);
        if (ready < 0 && errno != EINTR) break;
        if (ready == 0) entries.renew();
        entries.follow();
        members.serve();
        entries.follow();  // one may have come in between
    }
    hide(link);
    members.close();
    entries.release();
    mount::remove_mountpoint(created);
    std::_Exit(0);
}

/// Creates the directory of the link, held, and the link.
Result<mount::MountpointHold> show(const TreeLink& link) {
    if (link.path.empty()) return mount::MountpointHold{};
    SQUENV_TRY_ASSIGN(auto hold, mount::hold_mountpoint(parent_of(link.path)));
    const auto status = make_link(link.tree, link.path);
    hold.lock.reset();
    if (status) return hold;
    mount::remove_mountpoint(hold.created);
    return tl::unexpected(status.error());
}

/// Starts the process that keeps the tree for its members.
Result<share::Membership> start_keeping(const TreeLink& link,
                                        const std::vector<std::string>& created, UniqueFd listener,
                                        const std::vector<int>& inherited_fds) {
    SQUENV_TRY_ASSIGN(auto first, share::FirstMember::create());
    SQUENV_TRY_ASSIGN(auto members,
                      share::Members::create(std::move(listener), std::move(first.member), {}));
    SQUENV_TRY_ASSIGN(auto background, system::Background::start());
    if (background.is_daemon()) {
        first.ours.reset();
        for (const int fd : inherited_fds)
            if (fd != link.lock) ::close(fd);
        keep_tree(link, std::move(members), created, background);
    }
    SQUENV_TRY(background.wait_until_ready());
    return share::Membership{std::move(first.ours), {}, 0, true};
}

Result<share::Membership> lead_tree(const TreeLink& link, UniqueFd listener,
                                    const std::vector<int>& inherited_fds) {
    const system::SignalBlock block;
    SQUENV_TRY_ASSIGN(const auto hold, show(link));
    auto membership = start_keeping(link, hold.created, std::move(listener), inherited_fds);
    if (!membership) {
        hide(link);
        mount::remove_mountpoint(hold.created);
    }
    return membership;
}

}  // namespace

std::optional<FoundLink> find_tree_link(const std::string& path) {
    std::error_code error;
    std::filesystem::path link = std::filesystem::absolute(path, error).lexically_normal();
    if (!error && !link.has_filename()) link = link.parent_path();
    const std::filesystem::path target = target_of(link.string());
    if (error || !target.is_absolute()) return std::nullopt;
    // ENTRY/tree, and what is shown of it.
    std::filesystem::path entry;
    auto part = target.begin();
    while (part != target.end() && !cache::is_tree_name(part->string())) entry /= *part++;
    if (part == target.end()) return std::nullopt;
    entry /= *part++;
    if (part == target.end() || *part != "tree") return std::nullopt;
    const auto parent = system::canonical_mountpoint(link.parent_path().string());
    if (!parent) return std::nullopt;
    return FoundLink{(std::filesystem::path(*parent) / link.filename()).string(), entry.string()};
}

Result<share::Membership> link_tree(const TreeLink& link, const std::vector<int>& inherited_fds) {
    // The name alone decides: a tree that is unpacked anew has the link of the old one.
    SQUENV_TRY_ASSIGN(
        auto membership,
        share::join_or_lead(
            share::rendezvous_name({{FileIdentity{}, link.tree, link.path}}, "tree"),
            [&](UniqueFd listener) { return lead_tree(link, std::move(listener), inherited_fds); },
            [] {}));
    // The link of those who were here before can have been removed by hand.
    if (!membership.is_new && !link.path.empty()) SQUENV_TRY(make_link(link.tree, link.path));
    return membership;
}

}  // namespace squenv::run
