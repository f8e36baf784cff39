// SPDX-License-Identifier: MIT
#include "daemon/tree_walker.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpus.h"
#include "mount/kernel_mount.h"
#include "system/child_process.h"
#include "system/mount_watch.h"
#include "system/namespaces.h"

namespace squenv::daemon {

namespace {

using Clock = std::chrono::steady_clock;

/// An environment of 24,000 inodes takes 80 ms. A tree that takes longer is no environment.
constexpr std::chrono::milliseconds kTimeBudget{400};
/// Bounds the kernel memory that the walk may fill: about 1 KiB an object.
constexpr unsigned kObjectBudget = 60'000;
constexpr unsigned kMaxDepth = 64;
constexpr std::size_t kListBytes = 64 << 10;

struct Budget {
    Clock::time_point end = Clock::now() + kTimeBudget;
    unsigned objects = kObjectBudget;
    [[nodiscard]] bool is_spent() const { return objects == 0 || Clock::now() >= end; }
};

/// The layout that getdents64 fills.
struct RawEntry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t size;
    std::uint8_t type;
    char name[1];
};

constexpr int kListed = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// What the walker listens to, as numbers 3 and 4.
class Commands {
  public:
    /// `watch` is on the namespace of the mount. One of the walker's own has a copy of the mount,
    /// which the daemon serves until the walker ends.
    explicit Commands(system::MountWatch watch) : watch_(std::move(watch)) {}

    /// The mount that counts is now that of `root`.
    void set_mount(int root) {
        struct stat status {};
        if (::fstat(root, &status) == 0) device_minor_ = minor(status.st_dev);
    }
    /// True when no more work is wanted: the daemon has closed its end, or the mount is gone.
    [[nodiscard]] bool is_stopped() {
        const short events = wait(0);
        char byte = 0;
        return events < 0 || (events > 0 && ::recv(kSocket, &byte, 1, MSG_DONTWAIT) == 0);
    }
    /// True when another byte of the daemon waits, because it wants the whole tree listed, or no
    /// more work is wanted.
    [[nodiscard]] bool is_wanted_elsewhere() { return wait(0) != 0; }
    /// Waits for a byte of the daemon. False when no more work is wanted.
    [[nodiscard]] bool receive() {
        char byte = 0;
        return wait(-1) > 0 && ::recv(kSocket, &byte, 1, 0) == 1;
    }
    /// Tells the daemon that the walker has the root, or later that it pauses. False when it is
    /// gone.
    [[nodiscard]] bool send_progress() { return system::send_byte(kSocket, 'p'); }

  private:
    static constexpr int kSocket = 3;
    /// What the socket reports within `timeout` milliseconds, -1 for ever; -1 as soon as the mount
    /// is gone.
    short wait(int timeout) {
        while (true) {
            std::array<pollfd, 2> sources{pollfd{kSocket, POLLIN, 0}, {watch_.fd(), POLLPRI, 0}};
            if (::poll(sources.data(), sources.size(), timeout) < 0 && errno != EINTR) return -1;
            if (sources[1].revents != 0 && device_minor_ && !watch_.has_mount(*device_minor_))
                return -1;
            if (sources[0].revents != 0 || timeout == 0) return sources[0].revents;
        }
    }

    system::MountWatch watch_;
    std::optional<std::uint32_t> device_minor_{};
};

/// Lists `directory` to its end. Returns the names of its subdirectories, each with its NUL.
std::string list(int directory, Budget& budget) {
    std::string names;
    char buffer[kListBytes];
    while (!budget.is_spent()) {
        const long got = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (got <= 0) break;
        for (long at = 0; at < got;) {
            RawEntry entry;
            std::memcpy(&entry, buffer + at, offsetof(RawEntry, name));
            const char* name = buffer + at + offsetof(RawEntry, name);
            at += entry.size;
            if (budget.objects != 0) --budget.objects;
            if (entry.type == DT_DIR && std::string_view(name) != "." &&
                std::string_view(name) != "..")
                names.append(name, std::strlen(name) + 1);
        }
    }
    return names;
}

/// A directory that was listed, and how far the walk below it has come.
struct Level {
    UniqueFd directory;
    std::string names;
    std::size_t next = 0;
};

/// Lists `root` to its end, then everything below it, in the order of the listing.
void walk(UniqueFd root, Budget& budget, Commands& commands) {
    std::vector<Level> levels;
    const auto enter = [&](UniqueFd directory) {
        auto names = list(directory.get(), budget);
        levels.push_back({std::move(directory), std::move(names)});
    };
    enter(std::move(root));
    while (!levels.empty() && !budget.is_spent() && !commands.is_stopped()) {
        Level& level = levels.back();
        if (level.next == level.names.size() || levels.size() > kMaxDepth) {
            levels.pop_back();
            continue;
        }
        const char* name = level.names.c_str() + level.next;
        level.next += std::strlen(name) + 1;
        UniqueFd child(
            ::openat(level.directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (child) enter(std::move(child));
    }
}

/// Opens `path` below `root`. The names come from the image: none leads out of the mount, by ".."
/// or by a symlink.
UniqueFd open_beneath(int root, const char* path, std::uint64_t flags) {
    open_how how{};
    how.flags = flags | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how)));
}

/// Looks one name up in the mount. Kernels before 5.6 have no openat2(2): nothing is visited there.
void visit(int root, const RecordedName& name, Budget& budget) {
    const UniqueFd opened =
        open_beneath(root, name.path.c_str(), name.is_directory ? O_RDONLY | O_DIRECTORY : O_PATH);
    if (opened && name.is_directory) (void)list(opened.get(), budget);
}

/// Moves to a mount namespace of its own, in which an open directory does not block unmounting.
bool leave_mount_namespace() {
    if (!mount::may_mount_directly())
        return system::enter_new_namespaces(system::Propagation::none).has_value();
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// The root of the mount, once that answers. In a joined namespace it is held before, because an
/// overlay may cover it then. Elsewhere a look at the path could wait for an automounter.
UniqueFd open_root(Commands& commands, const std::string& mountpoint, bool joins) {
    if (!joins) return UniqueFd(commands.receive() ? ::open(mountpoint.c_str(), kListed) : -1);
    const UniqueFd place(::open(mountpoint.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const bool is_told = commands.send_progress() && commands.receive();
    return UniqueFd(is_told ? ::openat(place.get(), ".", kListed) : -1);
}

void work(Commands commands, const std::string& mountpoint, bool joins,
          const std::vector<RecordedName>& first) {
    UniqueFd root = open_root(commands, mountpoint, joins);
    if (!root) return;
    commands.set_mount(root.get());
    Budget budget;
    if (!first.empty()) {
        for (const RecordedName& name : first) {
            if (budget.is_spent() || commands.is_wanted_elsewhere()) break;
            visit(root.get(), name, budget);
        }
        if (!commands.is_wanted_elsewhere() && !commands.send_progress()) return;
        if (!commands.receive()) return;
        budget.end = Clock::now() + kTimeBudget;
    }
    walk(std::move(root), budget, commands);
}

[[noreturn]] void run_warmer(int socket, const std::string& mountpoint, int processor,
                             const system::Namespaces* namespaces,
                             const std::vector<RecordedName>& first) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NAME, "squenv-walker");
    for (int fd = 0; fd <= 2; ++fd) ::close(fd);
    const bool joins = namespaces != nullptr && *namespaces;
    if (joins && !system::join_namespaces(*namespaces)) ::_exit(1);
    const auto watch = system::MountWatch::open();
    if (!watch || (!joins && !leave_mount_namespace())) ::_exit(1);
    system::keep_only(socket, watch->fd());
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(processor), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    work(Commands(system::MountWatch(UniqueFd(4))), mountpoint, joins, first);
    ::_exit(0);
}

}  // namespace

int other_processor() {
    const cpu_set_t allowed = allowed_processors();
    const int here = ::sched_getcpu();
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu)
        if (cpu != here && CPU_ISSET(static_cast<unsigned>(cpu), &allowed)) return cpu;
    return -1;
}

Result<TreeWalker> TreeWalker::start(const std::string& mountpoint, int processor,
                                     const system::Namespaces* namespaces,
                                     const std::vector<RecordedName>& first) {
    SQUENV_TRY_ASSIGN(auto process, system::fork_child([&](int socket) {
                          run_warmer(socket, mountpoint, processor, namespaces, first);
                      }));
    return TreeWalker(std::move(process.socket), process.pid, namespaces != nullptr);
}

void TreeWalker::await_root() {
    char byte = 0;
    if (joins_) (void)system::receive_byte(socket_.get(), byte);
}

void TreeWalker::begin() {
    const char byte = 'g';
    (void)!::send(socket_.get(), &byte, 1, MSG_NOSIGNAL);
}

bool TreeWalker::has_paused() {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) == 1;
}

void TreeWalker::stop() {
    socket_.reset();
}

}  // namespace squenv::daemon
