// SPDX-License-Identifier: MIT
#include "edit/overlay.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#include "base/file_io.h"
#include "base/remote_error.h"
#include "base/socket_message.h"
#include "base/temporary_name.h"
#include "base/unique_fd.h"
#include "cache/entry.h"
#include "system/child_process.h"
#include "system/namespaces.h"

namespace squenv::edit {

namespace {

constexpr const char* kSource = "squenv-edit";
constexpr int kPatienceMs = 30'000;

/// Names by descriptor need no escapes, whatever characters the paths have.
std::string by_descriptor(const UniqueFd& fd) {
    return fmt::format("/proc/self/fd/{}", fd.get());
}

Status mount_layers(const std::string& lower, const Layers& layers, const std::string& mountpoint) {
    SQUENV_TRY_ASSIGN(const auto below, open_file(lower, O_PATH | O_DIRECTORY));
    SQUENV_TRY_ASSIGN(const auto upper, open_file(layers.upper, O_PATH | O_DIRECTORY));
    SQUENV_TRY_ASSIGN(const auto work, open_file(layers.work, O_PATH | O_DIRECTORY));
    const auto options =
        fmt::format("userxattr,lowerdir={},upperdir={},workdir={}", by_descriptor(below),
                    by_descriptor(upper), by_descriptor(work));
    if (::mount(kSource, mountpoint.c_str(), "overlay", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
        return fail_errno(errno, mountpoint + ": overlay mount");
    return {};
}

Status make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0) return fail_errno(errno, path);
    return {};
}

Status write_word(const std::string& path, int flags) {
    SQUENV_TRY_ASSIGN(const auto file, open_file(path, O_WRONLY | flags, 0644));
    if (const auto status = write_all(file.get(), as_bytes("x")); !status)
        return with_context(status.error(), path);
    return {};
}

/// What pip and editors do to an environment.
Status use(const std::string& tree) {
    const std::string directory = tree + "/directory";
    const std::string file = directory + "/file";
    SQUENV_TRY(write_word(file, O_APPEND));
    if (::unlink(file.c_str()) != 0) return fail_errno(errno, "removing a file of the image");
    if (::rmdir(directory.c_str()) != 0)
        return fail_errno(errno, "removing a directory of the image");
    if (::mkdir(directory.c_str(), 0755) != 0)
        return fail_errno(errno, "making a removed directory again");
    if (::access(file.c_str(), F_OK) == 0)
        return fail(Errc::environment, "a removed directory comes back with its files");
    return {};
}

Status enter(bool is_user_namespace) {
    if (is_user_namespace) return system::enter_new_namespaces(system::Propagation::none);
    SQUENV_TRY(system::enter_mount_namespace());
    return {};
}

/// Runs in a process of its own.
Status try_in(const std::string& place, bool is_user_namespace) {
    SQUENV_TRY(enter(is_user_namespace));
    const Layers layers{place + "/upper", place + "/work"};
    const std::string lower = place + "/lower";
    const std::string tree = place + "/tree";
    for (const std::string& path : {layers.upper, layers.work, lower, lower + "/directory", tree})
        SQUENV_TRY(make_directory(path));
    SQUENV_TRY(write_word(lower + "/directory/file", O_CREAT));
    SQUENV_TRY(mount_layers(lower, layers, tree));
    return use(tree);
}

Status try_apart(const std::string& place, bool is_user_namespace) {
    SQUENV_TRY_ASSIGN(auto child, system::fork_child([&](int socket) {
                          const auto status = try_in(place, is_user_namespace);
                          const std::string answer = status ? "d" : encode_error(status.error());
                          (void)send_message(socket, answer);
                          ::_exit(0);
                      }));
    pollfd waiting{child.socket.get(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, kPatienceMs);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        ::kill(child.pid, SIGKILL);
        return fail(Errc::busy, place + ": trying an overlay takes too long",
                    "name another directory with --staging");
    }
    const auto message = receive_message(child.socket.get());
    system::reap(child.pid);
    if (!message) return tl::unexpected(message.error());
    if (message->bytes == "d") return {};
    if (auto error = decode_error(message->bytes)) return tl::unexpected(std::move(*error));
    return fail(Errc::internal, "the process that tries an overlay died");
}

Status try_once(const std::string& directory, bool is_user_namespace) {
    const std::string place = unique_name(directory + "/try.");
    SQUENV_TRY(make_directory(place));
    auto status = try_apart(place, is_user_namespace);
    cache::remove_tree(place);
    return status;
}

}  // namespace

bool shows_owners() {
    return ::geteuid() == 0 && system::is_initial_user_namespace();
}

Status make_layers(const Layers& layers, const image::Inode& root) {
    SQUENV_TRY(make_directory(layers.upper));
    SQUENV_TRY(make_directory(layers.work));
    const timespec times[2]{{root.mtime, 0}, {root.mtime, 0}};
    const bool has_owner =
        !shows_owners() || ::chown(layers.upper.c_str(), root.uid, root.gid) == 0;
    if (!has_owner || ::chmod(layers.upper.c_str(), root.mode) != 0 ||
        ::utimensat(AT_FDCWD, layers.upper.c_str(), times, 0) != 0)
        return fail_errno(errno, layers.upper);
    return {};
}

Status try_overlay(const std::string& directory) {
    if (!system::needs_no_user_namespace()) return try_once(directory, true);
    auto status = try_once(directory, false);
    // In a container, root may hold the capability and still be refused.
    return status || !try_once(directory, true) ? status : Status();
}

Status mount_overlay(const std::string& mountpoint, const Layers& layers) {
    std::array<char, PATH_MAX> here;
    const bool has_directory = ::getcwd(here.data(), here.size()) != nullptr && here[0] == '/';
    if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "mount namespace: unshare");
    SQUENV_TRY(mount_layers(mountpoint, layers, mountpoint));
    // The working directory may be in what is covered now.
    if (has_directory) (void)!::chdir(here.data());
    return {};
}

}  // namespace squenv::edit
