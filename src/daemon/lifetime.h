// SPDX-License-Identifier: MIT
// How long a daemon serves: what it does on a signal, without members and after a time.
#pragma once

#include <chrono>
#include <memory>

#include "base/result.h"
#include "daemon/event_loop.h"
#include "mount/unmount.h"

namespace squenv::daemon {

enum class Lifetime {
    until_unmounted,  ///< a signal, the idle time or an unmount from outside ends it
    while_used,       ///< until its last member is gone; signals do not end it
    with_namespace,   ///< until the last process of the namespace that it is mounted in is gone
};

/// What a lifetime acts on: the daemon, or a fake.
class ServedMount {
  public:
    virtual ~ServedMount() = default;
    /// As Supervisor::unmount() and Supervisor::leave().
    [[nodiscard]] virtual Status unmount(mount::UnmountMode mode) = 0;
    [[nodiscard]] virtual Status leave() = 0;
    [[nodiscard]] virtual bool has_members() const = 0;
    /// Seconds since the last request.
    [[nodiscard]] virtual double idle_seconds() const = 0;
    /// The tree walker uses the mount: it is gone before an attempt to unmount.
    virtual void end_walk() = 0;
    /// Ends the process; open files of the mount are lost. Returns in a fake only.
    virtual void end_process() = 0;
};

/// One lifetime and its state. Used by the daemon's main thread only.
class LifetimeStrategy {
  public:
    virtual ~LifetimeStrategy() = default;

    /// SIGINT, SIGTERM or SIGHUP was received; also while it is unmounting.
    virtual void on_signal(int signal);
    /// Called after every wait, once the mount answers and until it is unmounting: one of them.
    virtual void on_members() {}
    virtual void on_members_gone() {}
    /// next_timeout() passed, and nothing happened meanwhile.
    virtual void on_timeout() {}
    /// When on_timeout() is called, counted from the last event.
    [[nodiscard]] virtual Timeout next_timeout() const { return {}; }

    /// The mount is in no mount table any more, or goes with its namespace. It is served until the
    /// kernel closes the connection, and no new member is admitted.
    [[nodiscard]] bool is_unmounting() const { return is_unmounting_; }

  protected:
    explicit LifetimeStrategy(ServedMount& mount) : mount_(mount) {}
    void set_unmounting() { is_unmounting_ = true; }
    ServedMount& mount_;

  private:
    bool is_unmounting_ = false;
};

/// The first signal unmounts, lazily when the mount is busy: it is then served until its last user
/// is done. The second ends the process at once. The idle time unmounts a mount without members.
class UntilUnmounted final : public LifetimeStrategy {
  public:
    /// An `idle_timeout` of 0 never ends it.
    UntilUnmounted(ServedMount& mount, std::chrono::seconds idle_timeout)
        : LifetimeStrategy(mount), idle_timeout_(static_cast<double>(idle_timeout.count())) {}
    void on_signal(int signal) override;
    void on_timeout() override;
    [[nodiscard]] Timeout next_timeout() const override;

  private:
    double idle_timeout_;      ///< in seconds
    bool has_signal_ = false;  ///< one was obeyed
};

/// Leaves after its last member. Processes that a member left running may still use the mount:
/// then it stays, and so does a mount that cannot be removed. A living mount harms less than a dead
/// one, and the next run joins it.
///
/// Signals are not obeyed: a batch system sends them to every process of a job, and the users of
/// the mount may want to end in order.
class WhileUsed final : public LifetimeStrategy {
  public:
    explicit WhileUsed(ServedMount& mount) : LifetimeStrategy(mount) {}
    void on_members() override { retry_ = {}; }
    void on_members_gone() override;
    void on_timeout() override;
    [[nodiscard]] Timeout next_timeout() const override { return retry_; }

  private:
    void leave();
    Timeout retry_{};  ///< until the next attempt to unmount; empty: none was made
};

/// Ends with its namespace. The daemon that has the members keeps the namespace alive until the
/// last one is gone; the others have none. Signals are not obeyed, as above.
class WithNamespace final : public LifetimeStrategy {
  public:
    explicit WithNamespace(ServedMount& mount) : LifetimeStrategy(mount) {}
    void on_members_gone() override;
};

/// `mount` outlives it.
[[nodiscard]] std::unique_ptr<LifetimeStrategy> make_lifetime(Lifetime lifetime, ServedMount& mount,
                                                              std::chrono::seconds idle_timeout);

}  // namespace squenv::daemon
