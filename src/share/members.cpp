// SPDX-License-Identifier: MIT
#include "share/members.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/socket_message.h"
#include "system/named_socket.h"
#include "system/process_state.h"

namespace squenv::share {

namespace {

constexpr char kAsk = 'j';
constexpr char kAdmitted = 'r';
constexpr char kPass = 'p';  ///< with a pidfd: the process of the member from now on

/// An event's tag: the key of the member, and which of its two descriptors.
constexpr std::uint64_t kListenerTag = 0;
constexpr std::uint64_t connection_tag(std::uint64_t key) {
    return key * 2;
}
constexpr std::uint64_t process_tag(std::uint64_t key) {
    return key * 2 + 1;
}

/// What the connection of an admitted member reports.
constexpr std::uint32_t kMemberEvents = EPOLLIN | EPOLLRDHUP;

/// The time until the first look at a daemon that does not answer, and between later ones.
constexpr int kFirstLookMs = 50;
constexpr int kLookMs = 500;

/// A daemon may take long to mount. The wait ends early for a daemon that cannot answer.
Status await_answer(int connection, int patience_ms) {
    for (int waited = 0; waited < patience_ms;) {
        // A living daemon answers at once. After the first slice without an answer its state is
        // read.
        const int slice = waited == 0 ? kFirstLookMs : kLookMs;
        pollfd waiting{connection, POLLIN, 0};
        const int ready = ::poll(&waiting, 1, slice);
        if (ready > 0) return {};
        if (ready == 0) waited += slice;
        const pid_t daemon = system::peer_process(connection);
        const system::ProcessState state = system::process_state(daemon);
        if (state == system::ProcessState::running) continue;
        return fail(state == system::ProcessState::dead ? Errc::environment : Errc::busy,
                    fmt::format("the daemon of this mount, process {}, {}", daemon,
                                system::state_text(state)),
                    system::state_remedy(state, daemon));
    }
    return fail(Errc::busy, "the daemon of this mount does not answer",
                "end it: 'squenv list' shows its process");
}

}  // namespace

UniqueFd own_pidfd() {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
}

void pass_membership(int connection, pid_t process) {
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    const int fd = pidfd.get();
    if (pidfd) (void)send_message(connection, {&kPass, 1}, {&fd, 1});
}

Result<std::optional<Admission>> ask_admission(int connection, int patience_ms) {
    const UniqueFd process = own_pidfd();
    const int fd = process.get();
    const auto asked = send_message(connection, {&kAsk, 1}, {&fd, process ? 1U : 0U});
    if (!asked) return std::optional<Admission>();
    SQUENV_TRY(await_answer(connection, patience_ms));
    SQUENV_TRY_ASSIGN(auto answer, receive_message(connection));
    if (answer.bytes.empty() || answer.bytes[0] != kAdmitted) return std::optional<Admission>();
    Admission admission;
    std::from_chars(answer.bytes.data() + 1, answer.bytes.data() + answer.bytes.size(),
                    admission.device_minor);
    if (answer.descriptors.size() == 2) {
        admission.namespaces.user = std::move(answer.descriptors[0]);
        admission.namespaces.mount = std::move(answer.descriptors[1]);
    }
    return std::optional<Admission>(std::move(admission));
}

Result<Members> Members::create(UniqueFd listener, Member first, system::Namespaces namespaces) {
    UniqueFd events(::epoll_create1(EPOLL_CLOEXEC));
    if (!events) return fail_errno(errno, "epoll_create1");
    Members members(std::move(events), std::move(listener), std::move(namespaces));
    if (members.listener_) {
        ::fcntl(members.listener_.get(), F_SETFL, O_NONBLOCK);
        members.watch(members.listener_.get(), kListenerTag, EPOLLIN);
    }
    if (first.connection) {
        ::fcntl(first.connection.get(), F_SETFL, O_NONBLOCK);
        members.add(members.next_key_++, std::move(first));
    }
    return members;
}

void Members::watch(int fd, std::uint64_t tag, std::uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.u64 = tag;
    if (::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        log::warning("a user of the mount cannot be watched");
}

/// Removes `fd` explicitly, because another process may hold the same open file, and the kernel
/// then goes on reporting it.
void Members::unwatch(UniqueFd& fd) {
    if (fd) ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
    fd.reset();
}

void Members::add(std::uint64_t key, Member user) {
    std::uint32_t events = user.is_admitted ? kMemberEvents : EPOLLIN;
    if (is_shadow_) events = EPOLLRDHUP;
    if (user.connection) watch(user.connection.get(), connection_tag(key), events);
    if (user.process) watch(user.process.get(), process_tag(key), EPOLLIN);
    members_.insert_or_assign(key, std::move(user));
}

/// In an epoll instance of this process: that of the daemon is shared with it.
void Members::watch_all() {
    UniqueFd events(::epoll_create1(EPOLL_CLOEXEC));
    if (!events) return log::warning("the users of the mount cannot be watched");
    events_ = std::move(events);
    if (listener_ && !is_shadow_) watch(listener_.get(), kListenerTag, EPOLLIN);
    for (auto& [key, user] : std::exchange(members_, {})) add(key, std::move(user));
}

void Members::become_shadow() {
    is_shadow_ = true;
    // The daemon is about to admit them. When it cannot, they begin anew.
    std::erase_if(members_, [](const auto& entry) { return !entry.second.is_admitted; });
    watch_all();
}

void Members::mirror(std::uint64_t key, Member member) {
    if (const auto known = members_.find(key); known != members_.end()) {
        unwatch(known->second.connection);
        unwatch(known->second.process);
    }
    next_key_ = std::max(next_key_, key + 1);
    add(key, std::move(member));
}

void Members::become_owner() {
    is_shadow_ = false;
    is_full_ = false;
    watch_all();
}

void Members::accept_all() {
    for (;;) {
        UniqueFd connection(
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!connection) {
            // A waiting connection would keep the loop awake: the listener is watched again when a
            // member has left.
            is_full_ = errno == EMFILE || errno == ENFILE;
            if (is_full_) {
                log::warning("no descriptors for more users of the mount: they have to wait");
                ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
            }
            return;
        }
        const auto uid = system::peer_uid(connection.get());
        if (uid && *uid == own_uid_) add(next_key_++, Member{std::move(connection), {}, false});
    }
}

void Members::admit(Member& user) {
    const std::array<int, 2> given{namespaces_.user.get(), namespaces_.mount.get()};
    const std::string word = kAdmitted + std::to_string(device_minor_);
    user.is_admitted =
        send_message(user.connection.get(), word, {given.data(), namespaces_ ? 2U : 0U})
            .has_value();
}

bool Members::on_message(std::uint64_t key, SocketMessage message) {
    Member& user = members_.at(key);
    const bool has_process = message.descriptors.size() == 1;
    if (user.is_admitted) {
        if (message.bytes != std::string(1, kPass) || !has_process) return true;
        unwatch(user.process);
    } else if (message.bytes != std::string(1, kAsk)) {
        return false;
    }
    if (has_process) {
        user.process = std::move(message.descriptors.front());
        watch(user.process.get(), process_tag(key), EPOLLIN);
    }
    const bool was_admitted = user.is_admitted;
    if (!was_admitted) admit(user);
    if (!user.is_admitted) return false;
    if (tell_) tell_(key, user);
    if (was_admitted) return true;
    epoll_event event{};
    event.events = kMemberEvents;
    event.data.u64 = connection_tag(key);
    ::epoll_ctl(events_.get(), EPOLL_CTL_MOD, user.connection.get(), &event);
    return true;
}

void Members::on_connection(std::uint64_t key) {
    Member& user = members_.at(key);
    if (!is_shadow_) {
        auto message = receive_message(user.connection.get());
        if (!message && message.error().sys_errno == EAGAIN) return;
        if (message && !message->bytes.empty() && on_message(key, std::move(*message))) return;
    }
    if (!user.is_admitted) unwatch(user.process);  // no member: the connection alone counts
    unwatch(user.connection);
    remove_if_gone(key);
}

/// The report may be of a process that has passed its membership on meanwhile.
void Members::on_process(std::uint64_t key) {
    UniqueFd& process = members_.at(key).process;
    pollfd ended{process.get(), POLLIN, 0};
    if (!process || ::poll(&ended, 1, 0) <= 0) return;
    unwatch(process);
    remove_if_gone(key);
}

void Members::remove_if_gone(std::uint64_t key) {
    const auto user = members_.find(key);
    if (user->second.connection || user->second.process) return;
    members_.erase(user);
    if (is_full_) watch(listener_.get(), kListenerTag, EPOLLIN);
    is_full_ = false;
}

void Members::serve() {
    std::array<epoll_event, 64> events;
    for (;;) {
        const int count =
            ::epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()), 0);
        if (count <= 0) return;
        // New members first: the last member may be leaving, and the new ones would be refused.
        for (int i = 0; i < count; ++i)
            if (events[static_cast<std::size_t>(i)].data.u64 == kListenerTag) accept_all();
        for (int i = 0; i < count; ++i) {
            const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
            const std::uint64_t key = tag / 2;
            if (tag == kListenerTag || !members_.contains(key)) continue;
            if (tag == connection_tag(key))
                on_connection(key);
            else
                on_process(key);
        }
    }
}

void Members::close() {
    // The supervisor has the socket, too: connecting would succeed for as long as it lives.
    if (listener_) ::shutdown(listener_.get(), SHUT_RDWR);
    unwatch(listener_);
    namespaces_ = {};
}

}  // namespace squenv::share
