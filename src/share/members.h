// SPDX-License-Identifier: MIT
// The members of a mount that lives as long as it is used: the daemon's side of the rendezvous.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/socket_message.h"
#include "base/unique_fd.h"
#include "system/namespaces.h"

namespace squenv::share {

/// A member as the daemon knows it. It is gone when its process is gone and no other process, such
/// as a child, holds the other end of the connection. Neither condition is enough alone: programs
/// close descriptors they do not know, and children outlive the process that the user ran.
struct Member {
    UniqueFd connection{};
    UniqueFd process{};  ///< a pidfd, or empty where the kernel has none
    bool is_admitted = false;
};

/// What a member receives when it is admitted.
struct Admission {
    system::Namespaces namespaces{};  ///< those of the mount, if it has its own
    std::uint32_t device_minor = 0;   ///< of its FUSE connection; 0 when that does not matter
};

/// The member's side: asks for admission over `connection` and waits for it, `patience_ms` at most.
/// Nothing when the daemon went away meanwhile. Errors: busy (no answer in time, or none can come,
/// because the daemon is stopped or frozen), environment (the daemon is dead).
[[nodiscard]] Result<std::optional<Admission>> ask_admission(int connection, int patience_ms);

/// The member's side, once admitted: `process`, of the same user, counts as the process of the
/// member from now on. A program that mounts for another process passes the connection to that,
/// too. Without effect when the process or the daemon has ended, or the kernel has no pidfd.
void pass_membership(int connection, pid_t process);

/// The daemon's side. Used by the main thread only. No member is admitted before serve() is called.
class Members {
  public:
    /// `listener` may be empty: the only member is then `first`, which counts as admitted. Each
    /// admitted member receives `namespaces`, if any.
    [[nodiscard]] static Result<Members> create(UniqueFd listener, Member first,
                                                system::Namespaces namespaces);
    Members(Members&&) = default;
    Members& operator=(Members&&) = default;

    /// Readable when serve() has something to do.
    [[nodiscard]] int ready_fd() const { return events_.get(); }
    /// Admits new members and removes those that have gone. Never waits.
    void serve();
    [[nodiscard]] bool is_empty() const { return members_.empty(); }
    /// Another process holds copies of the members, for the time when this one is gone. It is told
    /// of members that come later: `tell` gets the key and the descriptors of each that is admitted
    /// or has another process now.
    void mirror_to(std::function<void(std::uint64_t key, const Member&)> tell) {
        tell_ = std::move(tell);
    }
    /// In the process with the copies: from now on only the end of members is noted, and no
    /// message is taken from the daemon.
    void become_shadow();
    /// One that the daemon was told of.
    void mirror(std::uint64_t key, Member member);
    /// The daemon is gone, and this process does its work.
    void become_owner();

    /// Refuses new members from now on, and closes the namespaces.
    void close();
    /// The device_minor that each member admitted from now on receives.
    void set_device_minor(std::uint32_t minor) { device_minor_ = minor; }
    [[nodiscard]] int listener() const { return listener_.get(); }

  private:
    Members(UniqueFd events, UniqueFd listener, system::Namespaces namespaces)
        : events_(std::move(events)),
          listener_(std::move(listener)),
          namespaces_(std::move(namespaces)) {}

    void accept_all();
    void add(std::uint64_t key, Member user);
    void watch_all();
    void watch(int fd, std::uint64_t tag, std::uint32_t what);
    void unwatch(UniqueFd& fd);
    void on_connection(std::uint64_t key);
    /// False when the sender is no member, and cannot become one.
    bool on_message(std::uint64_t key, SocketMessage message);
    void on_process(std::uint64_t key);
    void admit(Member& user);
    void remove_if_gone(std::uint64_t key);

    UniqueFd events_;
    UniqueFd listener_;
    system::Namespaces namespaces_;
    std::map<std::uint64_t, Member> members_{};
    std::uint64_t next_key_ = 1;
    std::uint32_t device_minor_ = 0;
    std::function<void(std::uint64_t, const Member&)> tell_{};
    bool is_shadow_ = false;
    uid_t own_uid_ = ::geteuid();  ///< the daemon's own changes later, when it was root's
    bool is_full_ = false;         ///< the listener is not watched: no descriptor is left
};

/// A pidfd of the calling process, or empty where the kernel has none (before 5.3).
[[nodiscard]] UniqueFd own_pidfd();

}  // namespace squenv::share
