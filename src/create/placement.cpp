// SPDX-License-Identifier: MIT
#include "create/placement.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/remote_error.h"
#include "base/socket_message.h"
#include "mount/userns_mounts.h"
#include "mount/userns_root.h"
#include "system/child_process.h"
#include "system/mount_table.h"
#include "system/namespaces.h"

namespace squenv::create {

namespace {

namespace fs = std::filesystem;

constexpr const char* kEntered = "done";

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 || errno != ENOENT;
}

/// `path` and the directories above it that are not there, outermost first.
std::vector<std::string> missing_parts(const std::string& path) {
    std::vector<std::string> parts;
    for (fs::path at = path; at != at.parent_path() && !exists(at.string()); at = at.parent_path())
        parts.insert(parts.begin(), at.string());
    return parts;
}

/// Tries it in a process that ends afterwards, so that a refusal costs nothing.
Status try_place(Placement placement, const std::string& tree, const std::string& at) {
    SQUENV_TRY_ASSIGN(auto child, system::fork_child([&](int socket) {
                          const auto status = enter_place(placement, tree, at);
                          (void)send_message(socket,
                                             status ? kEntered : encode_error(status.error()));
                          ::_exit(0);
                      }));
    const auto message = receive_message(child.socket.get());
    system::reap(child.pid);
    if (!message) return tl::unexpected(message.error());
    if (message->bytes == kEntered) return {};
    if (auto error = decode_error(message->bytes)) return tl::unexpected(std::move(*error));
    return fail(Errc::internal, "the process that makes the namespace died");
}

/// Fills in `space`, or `refusal`.
void find_namespace(const std::string& tree, const std::string& at, PlacementFacts& facts) {
    std::vector<Placement> ways{Placement::user_namespace};
    if (system::needs_no_user_namespace()) ways.insert(ways.begin(), Placement::mount_namespace);
    for (const Placement way : ways) {
        const auto status = try_place(way, tree, at);
        if (status) {
            facts.space = way;
            return;
        }
        if (facts.refusal.context.empty()) facts.refusal = status.error();
    }
}

/// Makes the directories above it, too.
bool make_link(Staging& staging, const std::string& at) {
    const auto parts = missing_parts(at);
    if (parts.empty() || !staging.note(parts)) return false;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
        if (::mkdir(parts[i].c_str(), 0755) != 0 && errno != EEXIST) return false;
    return ::symlink(staging.tree().c_str(), at.c_str()) == 0;
}

}  // namespace

Result<Placement> choose_placement(const PlacementFacts& facts, const std::string& at) {
    if (facts.space) return *facts.space;
    if (facts.is_free) return Placement::link;
    if (facts.can_relocate) return Placement::elsewhere;
    Error error = facts.refusal;
    error.code = Errc::environment;
    error.context =
        at + ": taken or closed, and the environment cannot be shown there: " + error.context;
    error.hint += std::string(error.hint.empty() ? "" : "; or ") +
                  "free the path, name another with --at, or install uv";
    return tl::unexpected(std::move(error));
}

Result<Place> Place::make(Staging& staging, const std::string& at, bool can_relocate) {
    const std::string tree = staging.tree();
    SQUENV_TRY(staging.note(missing_parts(at)));
    auto hold = mount::hold_for_userns(system::canonical_mountpoint(at).value_or(at));
    PlacementFacts facts;
    facts.can_relocate = can_relocate;
    find_namespace(tree, at, facts);
    if (facts.space) return Place(staging, *facts.space, at, std::move(hold.lock));
    hold.lock.reset();
    staging.remove_noted();
    facts.is_free = make_link(staging, at);
    SQUENV_TRY_ASSIGN(const Placement placement, choose_placement(facts, at));
    return Place(staging, placement, placement == Placement::link ? at : tree, UniqueFd());
}

Place::Place(Place&& other) noexcept
    : staging_(std::exchange(other.staging_, nullptr)),
      placement_(other.placement_),
      path_(std::move(other.path_)),
      hold_(std::move(other.hold_)) {
}

Place::~Place() {
    if (staging_ == nullptr) return;
    hold_.reset();
    staging_->remove_noted();
}

Status enter_place(Placement placement, const std::string& tree, const std::string& path) {
    std::error_code error;
    const std::string at = system::canonical_mountpoint(path).value_or(path);
    const fs::path directory = fs::current_path(error);
    if (placement == Placement::mount_namespace) {
        SQUENV_TRY(system::enter_mount_namespace());
    } else if (placement == Placement::user_namespace) {
        SQUENV_TRY(system::enter_new_namespaces(system::Propagation::from_outside));
    } else {
        return {};
    }
    // What covers the path may cover the tree as well.
    SQUENV_TRY_ASSIGN(const auto source, open_file(tree, O_PATH | O_DIRECTORY));
    struct stat info {};
    if (!system::has_fuse_mount(at) && ::stat(at.c_str(), &info) != 0) {
        if (auto status = mount::cover_with_mountpoint(at); !status)
            return with_context(status.error(), at + ": cannot be shown");
    }
    const std::string from = "/proc/self/fd/" + std::to_string(source.get());
    if (::mount(from.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0)
        return fail_errno(errno, at + ": bind mount");
    // The path leads to what is there now; a relative name is meant so.
    fs::current_path(directory, error);
    return {};
}

}  // namespace squenv::create
