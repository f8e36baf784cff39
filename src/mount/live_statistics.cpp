// SPDX-License-Identifier: MIT
#include "mount/live_statistics.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/unique_fd.h"
#include "fuse/session.h"
#include "mount/companion.h"

namespace squenv::mount {

namespace {

struct Answer {
    int error = 0;
    std::array<char, fuse::kStatisticsBytes> text{};
};

bool become(uid_t uid, gid_t gid) {
    return ::setgroups(0, nullptr) == 0 && ::setresgid(gid, gid, gid) == 0 &&
           ::setresuid(uid, uid, uid) == 0;
}

/// Runs in the child: plain system calls only.
[[noreturn]] void ask(const char* mountpoint, int reply_fd, Answer& answer) {
    const int fd = ::open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ::ioctl(fd, fuse::statistics_ioctl(), answer.text.data()) != 0)
        answer.error = errno;
    const ssize_t written = ::write(reply_fd, &answer, sizeof answer);
    ::_exit(written == static_cast<ssize_t>(sizeof answer) ? 0 : 1);
}

bool read_answer(int fd, Answer& answer, std::chrono::milliseconds timeout) {
    pollfd waiting{fd, POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) return false;
    auto* bytes = reinterpret_cast<char*>(&answer);
    std::size_t done = 0;
    while (done < sizeof answer) {
        const ssize_t got = ::read(fd, bytes + done, sizeof answer - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += static_cast<std::size_t>(got);
    }
    return true;
}

}  // namespace

Result<std::string> query_statistics(const std::string& mountpoint,
                                     std::chrono::milliseconds timeout, const MountEntry* entry) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    Answer answer;
    const pid_t child = ::fork();
    if (child < 0) return fail_errno(errno, "fork");
    if (child == 0) {
        // What cannot be had shows in the answer.
        if (::geteuid() == 0 && entry != nullptr && entry->user_id.value_or(0) != 0)
            (void)become(*entry->user_id, entry->group_id.value_or(*entry->user_id));
        ask(mountpoint.c_str(), writer.get(), answer);
    }
    writer.reset();
    const bool is_answered = read_answer(reader.get(), answer, timeout);
    if (!is_answered) ::kill(child, SIGKILL);
    // A child that waits for a daemon can be killed; it is reaped when it is gone.
    reap(child);
    if (!is_answered)
        return fail(Errc::busy, mountpoint + ": the daemon does not answer",
                    "remove the mount with 'squenv umount --lazy " + mountpoint + "'");
    switch (answer.error) {
        case 0: return std::string(answer.text.data(), ::strnlen(answer.text.data(),
                                                                  answer.text.size()));
        case ENOTTY:
        case EINVAL:
        case ENOSYS:
            return fail(Errc::unsupported,
                        mountpoint + ": not a mount of squenv, or of another version of it",
                        "'squenv list' shows your mounts");
        case ENOTCONN:
        case ECONNABORTED:
            return tl::unexpected(Error{Errc::environment, ENOTCONN, mountpoint,
                                        "its daemon is gone: 'squenv umount " + mountpoint +
                                            "' removes the mount"});
        default: return fail_errno(answer.error, mountpoint);
    }
}

}  // namespace squenv::mount
