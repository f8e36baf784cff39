// SPDX-License-Identifier: MIT
#include "mount/live_statistics.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/process_limits.h"
#include "base/statistics_ioctl.h"
#include "base/unique_fd.h"
#include "mount/connection.h"
#include "system/child_process.h"
#include "system/named_socket.h"

namespace squenv::mount {

namespace {

using Clock = std::chrono::steady_clock;

/// The message of an asking process.
struct Reply {
    std::uint32_t index = 0;  ///< the index of the question
    int error = 0;
    std::array<char, kStatisticsBytes> text{};
};

bool become(uid_t uid, gid_t gid) {
    return ::setgroups(0, nullptr) == 0 && ::setresgid(gid, gid, gid) == 0 &&
           ::setresuid(uid, uid, uid) == 0;
}

/// The kernel turns a signal that ends a process by default into SIGKILL. So the timer also ends a
/// process that waits for a daemon, unless the daemon has read the request: then nothing ends it.
void end_after(std::chrono::milliseconds timeout) {
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    ::sigaction(SIGALRM, &plain, nullptr);
    sigset_t alarm;
    ::sigemptyset(&alarm);
    ::sigaddset(&alarm, SIGALRM);
    ::sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
    const auto count = std::max<std::chrono::milliseconds::rep>(timeout.count(), 1);
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(count / 1000);
    timer.it_value.tv_usec = static_cast<suseconds_t>(count % 1000 * 1000);
    ::setitimer(ITIMER_REAL, &timer, nullptr);
}

/// Closes what this process inherited: locks, pipes, connections to daemons, the working directory.
/// Otherwise these stay open for as long as it hangs. The socket is number 3 afterwards.
void keep_only(int socket) {
    if (socket != 3 && ::dup2(socket, 3) < 0) ::_exit(1);
    for (int fd = 0; fd <= 2; ++fd) ::close(fd);
    ::close_range(4, ~0U, 0);
    (void)!::chdir("/");
}

/// Asks the daemon of `entry`, whose mount `directory` is in, until it has answered or the mount is
/// dead. A young daemon does not listen yet; in another network namespace none is ever heard.
/// Returns 0, or the error as errno has it.
int ask_daemon(const system::MountEntry& entry, int directory, Reply& reply) {
    constexpr timespec kPause{0, 20'000'000};
    constexpr int kMostVisits = 50;
    // A child namespace may have another number for the user.
    const std::string name = daemon_name(entry.device_minor, entry.user_id.value_or(::geteuid()));
    for (int visits = 0; visits < kMostVisits; ::nanosleep(&kPause, nullptr)) {
        struct statfs info {};
        if (::fstatfs(directory, &info) != 0) return errno;
        const auto connection = system::visit_name(name);
        if (!connection && connection.error().code != Errc::busy) return EACCES;
        if (connection && !*connection) ++visits;
        if (!connection || !*connection) continue;
        if (!system::send_byte((*connection)->get(), kAskStatistics)) continue;
        if (::recv((*connection)->get(), reply.text.data(), reply.text.size(), 0) > 0) return 0;
    }
    return ECONNREFUSED;
}

/// Runs in a child process of its own.
[[noreturn]] void ask(const Question& question, Reply& reply, int socket,
                      std::chrono::milliseconds timeout) {
    end_after(timeout);
    keep_only(socket);
    // A part that is not available is missing in the answer.
    if (const system::MountEntry* entry = question.entry;
        ::geteuid() == 0 && entry != nullptr && entry->user_id.value_or(0) != 0)
        (void)become(*entry->user_id, entry->group_id.value_or(*entry->user_id));
    const int fd = ::open(question.mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool has_overlay = question.entry != nullptr && question.entry->overlay_minor != 0;
    if (fd >= 0 && has_overlay)
        reply.error = ask_daemon(*question.entry, fd, reply);
    else if (fd < 0 || ::ioctl(fd, kStatisticsIoctl, reply.text.data()) != 0)
        reply.error = errno;
    ::close(fd);  // the receiver may unmount at once
    (void)!::send(3, &reply, sizeof reply, MSG_NOSIGNAL);
    ::_exit(0);
}

/// Starts a process for each question. None is a child of the caller, so none has to be reaped.
/// Returns the socket of their replies, which reports end of file with the last of them.
Result<UniqueFd> start_asking(const std::vector<Question>& questions,
                              std::chrono::milliseconds timeout) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(errno, "socketpair");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail_fork(errno);
    if (child == 0) {
        Reply reply;
        for (const Question& question : questions) {
            const pid_t asking = ::fork();
            if (asking == 0) ask(question, reply, theirs.get(), timeout);
            if (asking < 0) {
                reply.error = errno;
                (void)!::send(theirs.get(), &reply, sizeof reply, MSG_NOSIGNAL | MSG_DONTWAIT);
                reply.error = 0;
            }
            ++reply.index;
        }
        ::_exit(0);
    }
    system::reap(child);
    return ours;
}

tl::unexpected<Error> silent(const std::string& mountpoint) {
    return fail(Errc::busy, mountpoint + ": the daemon does not answer",
                "remove the mount with 'squenv umount --lazy " + mountpoint + "'");
}

Result<std::string> result_of(const std::string& mountpoint, const Reply& reply) {
    switch (reply.error) {
        case 0:
            return std::string(reply.text.data(), ::strnlen(reply.text.data(), reply.text.size()));
        case ENOTTY:
        case EINVAL:
        case ENOSYS:
            return fail(Errc::unsupported,
                        mountpoint + ": not a mount of squenv, or of another version of it",
                        "'squenv list' shows your mounts");
        case ECONNREFUSED:
            return fail(Errc::unsupported,
                        mountpoint + ": its daemon is not in this network namespace",
                        "ask outside of that namespace; the mount is in order");
        case ENOTCONN:
        case ECONNABORTED:
            return tl::unexpected(
                Error{Errc::environment, ENOTCONN, mountpoint,
                      "its daemon is gone: 'squenv umount " + mountpoint + "' removes the mount"});
        default: return fail_errno(reply.error, mountpoint);
    }
}

/// Waits until `end` for something to read.
bool is_readable(int fd, Clock::time_point end) {
    for (;;) {
        const std::int64_t left =
            std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd waiting{fd, POLLIN, 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
        if (ready >= 0 || errno != EINTR) return ready > 0;
    }
}

/// The mounts that have not answered this process lately. To ask again takes the time again, and
/// leaves one more process that hangs. Thread-safe.
class SilentMounts {
  public:
    [[nodiscard]] bool has(const Question& question) {
        if (question.entry == nullptr) return false;
        const std::lock_guard lock(mutex_);
        const auto found = until_.find({question.mountpoint, question.entry->device_minor});
        return found != until_.end() && Clock::now() < found->second;
    }
    void add(const Question& question) {
        if (question.entry == nullptr) return;
        const std::lock_guard lock(mutex_);
        until_[{question.mountpoint, question.entry->device_minor}] = Clock::now() + kQueryTimeout;
    }

  private:
    std::mutex mutex_;
    std::map<std::pair<std::string, std::uint32_t>, Clock::time_point> until_;
};

SilentMounts& silent_mounts() {
    static SilentMounts mounts;
    return mounts;
}

}  // namespace

std::vector<Result<std::string>> query_all_statistics(const std::vector<Question>& questions,
                                                      std::chrono::milliseconds timeout) {
    std::vector<Result<std::string>> results;
    std::vector<Question> asked;
    std::vector<std::size_t> places;  ///< of what is asked, in the results
    for (std::size_t i = 0; i < questions.size(); ++i) {
        results.emplace_back(silent(questions[i].mountpoint));
        if (silent_mounts().has(questions[i])) continue;
        asked.push_back(questions[i]);
        places.push_back(i);
    }
    if (asked.empty()) return results;
    const auto end = Clock::now() + timeout;
    const auto socket = start_asking(asked, timeout);
    if (!socket) {
        for (const std::size_t place : places) results[place] = tl::unexpected(socket.error());
        return results;
    }
    std::set<std::size_t> waiting;
    for (std::size_t i = 0; i < asked.size(); ++i) waiting.insert(i);
    while (!waiting.empty() && is_readable(socket->get(), end)) {
        Reply reply;
        const ssize_t got = ::recv(socket->get(), &reply, sizeof reply, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got != static_cast<ssize_t>(sizeof reply) || reply.index >= asked.size()) break;
        results[places[reply.index]] = result_of(asked[reply.index].mountpoint, reply);
        waiting.erase(reply.index);
    }
    for (const std::size_t index : waiting) silent_mounts().add(asked[index]);
    return results;
}

Result<std::string> query_statistics(const std::string& mountpoint,
                                     std::chrono::milliseconds timeout,
                                     const system::MountEntry* entry) {
    return std::move(query_all_statistics({{mountpoint, entry}}, timeout).front());
}

}  // namespace squenv::mount
