// SPDX-License-Identifier: MIT
#include "mount/userns_mounts.h"

#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>
#include <sstream>

#include "base/remote_error.h"
#include "base/socket_message.h"
#include "mount/mountpoint.h"
#include "mount/overlay.h"
#include "mount/userns_root.h"
#include "system/child_process.h"
#include "system/mount_table.h"

namespace squenv::mount {

namespace {

constexpr char kDone = 'd';
constexpr char kDoneInChroot = 'r';  ///< the last descriptor is the root directory
constexpr int kPatienceMs = 30'000;

/// Makes `path` a possible mount point.
Status ensure_mountpoint(const std::string& path) {
    // Its root is a directory. A look at it would wait for a daemon that does not answer. It would
    // fail where the daemon is gone, and be refused on a mount of another user.
    if (system::has_fuse_mount(path)) return {};
    struct stat info {};
    // A link that a run has made to what it unpacked goes with that run.
    const bool is_link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
    if (!is_link && ::stat(path.c_str(), &info) == 0)
        return S_ISDIR(info.st_mode) ? Status()
                                     : fail(Errc::invalid_argument, path + ": not a directory",
                                            "an image is mounted on a directory");
    const int code = is_link ? ENOENT : errno;
    const bool is_denied = code == EACCES || code == EPERM;
    if (!is_denied && code != ENOENT) return fail_errno(code, path);
    if (is_denied && system::is_mountpoint(path)) return {};
    if (auto status = cover_with_mountpoint(path); !status)
        return with_context(status.error(), path + ": cannot be shown as a mount point");
    return {};
}

Status bind_directory(const UsernsMount& mount) {
    const std::string& source = mount.bind_source;
    const std::string& mountpoint = mount.kernel.mountpoint;
    const unsigned long flags = MS_NOSUID | MS_NODEV | (mount.is_writable ? 0 : MS_RDONLY);
    if (::mount(source.c_str(), mountpoint.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, mountpoint.c_str(), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr) != 0)
        return fail_errno(errno, mountpoint + ": bind mount of " + source);
    return {};
}

enum class Creation { mount_namespace, user_namespace };

/// Fails with a chroot: a process that joins a daemon's namespace gets no root directory to return
/// to.
Status check_root(const UniqueFd& root, const std::vector<UsernsMount>& mounts) {
    const bool has_daemon = std::any_of(
        mounts.begin(), mounts.end(), [](const auto& mount) { return mount.bind_source.empty(); });
    if (!root || !has_daemon) return {};
    return fail(Errc::environment, "a chroot cannot be kept in a namespace that others join",
                "use --via direct or --via extract there");
}

/// An overlay to come: where, and the empty layer for it, or why there is none.
struct Overlay {
    const KernelMount& below;
    Result<UniqueFd> empty;
};

/// Runs in the process that creates the namespaces.
Result<UsernsMounts> create_mounts(const std::vector<UsernsMount>& mounts, Creation creation,
                                   std::vector<Overlay>& overlays) {
    UniqueFd root;
    if (creation == Creation::mount_namespace) {
        SQUENV_TRY_ASSIGN(root, system::enter_mount_namespace());
        SQUENV_TRY(check_root(root, mounts));
    } else {
        SQUENV_TRY(system::enter_new_namespaces(system::Propagation::from_outside));
    }
    UsernsMounts made;
    for (const auto& mount : mounts) {
        const std::string& mountpoint = mount.kernel.mountpoint;
        SQUENV_TRY(ensure_mountpoint(mountpoint));
        UniqueFd device;
        if (mount.has_overlay) overlays.push_back({mount.kernel, mount_empty_layer(mountpoint)});
        if (mount.bind_source.empty()) {
            SQUENV_TRY_ASSIGN(device, mount_direct(mount.kernel));
        } else {
            SQUENV_TRY(bind_directory(mount));
        }
        const auto entry = system::find_mount(mountpoint);
        made.minors.push_back(device && entry && *entry ? (*entry)->device_minor : 0);
        made.devices.push_back(std::move(device));
    }
    SQUENV_TRY_ASSIGN(made.namespaces, system::own_namespaces());
    made.namespaces.root = std::move(root);
    return made;
}

Status mount_overlays(const std::vector<Overlay>& overlays) {
    for (const auto& [below, empty] : overlays) {
        if (!empty) return tl::unexpected(empty.error());
        SQUENV_TRY(mount_overlay(below.mountpoint, *empty, below.noexec));
    }
    return {};
}

/// Runs in a process of its own, because it waits for daemons that are started meanwhile. Nothing
/// that the caller was given stays open in it.
[[noreturn]] void overlay_and_report(int socket, const std::vector<Overlay>& overlays) {
    std::vector<int> needed{socket};
    for (const auto& overlay : overlays)
        if (overlay.empty) needed.push_back(overlay.empty->get());
    system::close_all_but(std::move(needed));
    const auto status = mount_overlays(overlays);
    char asked = 0;
    if (system::receive_byte(socket, asked))
        (void)send_message(socket, status ? std::string{kDone} : encode_error(status.error()));
    ::_exit(0);
}

[[noreturn]] void create_and_report(int socket, const std::vector<UsernsMount>& mounts,
                                    Creation creation) {
    std::vector<Overlay> overlays;
    const auto made = create_mounts(mounts, creation, overlays);
    if (!made) {
        (void)send_message(socket, encode_error(made.error()));
        ::_exit(1);
    }
    std::vector<int> descriptors{made->namespaces.user.get(), made->namespaces.mount.get()};
    for (const auto& device : made->devices)
        if (device) descriptors.push_back(device.get());
    const UniqueFd& root = made->namespaces.root;
    if (root) descriptors.push_back(root.get());
    std::string word{root ? kDoneInChroot : kDone};
    for (const std::uint32_t minor : made->minors) word += std::to_string(minor) + ' ';
    (void)send_message(socket, word, descriptors);
    if (!overlays.empty() && ::fork() == 0) overlay_and_report(socket, overlays);
    ::_exit(0);
}

/// Assigns the creator's descriptors; nothing when it did not finish.
std::optional<UsernsMounts> unpack(SocketMessage& message, const std::vector<UsernsMount>& mounts) {
    auto& descriptors = message.descriptors;
    UsernsMounts made;
    const bool is_in_chroot = message.bytes.starts_with(kDoneInChroot);
    if (is_in_chroot && !descriptors.empty()) {
        made.namespaces.root = std::move(descriptors.back());
        descriptors.pop_back();
    }
    if ((!is_in_chroot && !message.bytes.starts_with(kDone)) || descriptors.size() < 2)
        return std::nullopt;
    std::istringstream minors(message.bytes.substr(1));
    made.namespaces.user = std::move(descriptors[0]);
    made.namespaces.mount = std::move(descriptors[1]);
    std::size_t next = 2;
    for (const auto& mount : mounts) {
        made.devices.emplace_back();
        minors >> made.minors.emplace_back();
        if (mount.bind_source.empty() && next < descriptors.size())
            made.devices.back() = std::move(descriptors[next++]);
    }
    return made;
}

/// Waits for a message of such a process, or its end. False when that takes too long.
bool is_answered(int socket) {
    pollfd waiting{socket, POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, kPatienceMs);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

Result<UsernsMounts> create_apart(const std::vector<UsernsMount>& mounts, Creation creation) {
    SQUENV_TRY_ASSIGN(auto founder, system::fork_child([&](int socket) {
                          create_and_report(socket, mounts, creation);
                      }));
    // A path on a dead network may hang the creator, so the wait has a limit.
    if (!is_answered(founder.socket.get())) {
        ::kill(founder.pid, SIGKILL);
        return fail(Errc::busy, "making a namespace takes too long",
                    "look for a path that hangs, such as one on a network that is down");
    }
    auto message = receive_message(founder.socket.get());
    system::reap(founder.pid);
    if (!message) return tl::unexpected(message.error());
    auto made = unpack(*message, mounts);
    const bool has_overlay = std::any_of(mounts.begin(), mounts.end(),
                                         [](const auto& mount) { return mount.has_overlay; });
    if (made && has_overlay) made->overlays = std::move(founder.socket);
    if (made) return std::move(*made);
    if (auto error = decode_error(message->bytes)) return tl::unexpected(std::move(*error));
    return fail(Errc::internal, "the process that makes the namespace died");
}

}  // namespace

Result<UsernsMounts> make_userns_mounts(const std::vector<UsernsMount>& mounts) {
    if (mounts.size() > kMaxUsernsMounts)
        return fail(Errc::limit, "more than 32 images in one namespace");
    if (!system::needs_no_user_namespace()) return create_apart(mounts, Creation::user_namespace);
    auto made = create_apart(mounts, Creation::mount_namespace);
    if (made || made.error().code == Errc::busy) return made;
    // In a container, root may hold the capability and still be refused.
    auto other = create_apart(mounts, Creation::user_namespace);
    return other ? std::move(other) : std::move(made);
}

Status await_overlays(UsernsMounts& mounts) {
    const UniqueFd socket = std::move(mounts.overlays);
    if (!socket || !system::send_byte(socket.get(), kDone)) return {};
    if (!is_answered(socket.get())) return fail(Errc::busy, "making an overlay takes too long");
    SQUENV_TRY_ASSIGN(const auto message, receive_message(socket.get()));
    if (message.bytes == std::string{kDone}) return {};
    if (auto error = decode_error(message.bytes)) return tl::unexpected(std::move(*error));
    return fail(Errc::internal, "the process that makes an overlay died");
}

MountpointHold hold_for_userns(const std::string& mountpoint) {
    // A dead mount that cannot be removed stays below the new one.
    if (system::has_fuse_mount(mountpoint)) (void)clear_mountpoint(mountpoint);
    if (system::has_fuse_mount(mountpoint)) return {};
    auto hold = hold_mountpoint(mountpoint);
    return hold ? std::move(*hold) : MountpointHold{};
}

}  // namespace squenv::mount
