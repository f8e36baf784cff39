// SPDX-License-Identifier: MIT
// The supervisor: a small process beside the daemon that unmounts for it. It is forked before the
// daemon gives up its rights (fusermount3 is setuid, which no_new_privs forbids). It cleans up when
// the daemon dies by any means, so that a crash leaves no dead mount.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/death_watch.h"
#include "mount/unmount.h"

namespace squenv::daemon {

/// The tasks of a supervisor.
struct SupervisorDuties {
    std::string mountpoint{};            ///< empty when the mount goes with its namespace
    std::uint32_t device_minor = 0;      ///< of its connection, when the mount is there already
    std::vector<std::string> created{};  ///< directories to remove when it is gone
    int held_fd = -1;  ///< open until all is clean: a process that waits for it may then begin anew
};

/// The daemon's end. Not thread-safe.
class Supervisor {
  public:
    /// Forks the supervisor, before the mount is made and before any thread exists. It is no child
    /// of the caller. In the supervisor, every descriptor but its own is closed, the connection to
    /// /dev/fuse above all. While any process holds that open, the kernel does not notice that the
    /// daemon is gone.
    [[nodiscard]] static Result<Supervisor> start(const SupervisorDuties& duties);

    /// Reports to the supervisor that the mount is there, and the number of its connection.
    void mounted(std::uint32_t device_minor);
    /// The supervisor acts from now on when the calling thread, the daemon's main one, has ended,
    /// even when another thread of the daemon is stuck. Once.
    void watch_this_thread();
    /// Asks the supervisor to unmount. The answer follows. Errors: io when the supervisor is gone.
    [[nodiscard]] Status ask_to_unmount(mount::UnmountMode mode);
    /// The same for a mount of `run`: busy also as long as a process lives that was started there.
    [[nodiscard]] Status ask_to_leave();
    /// Readable when the answer is there, or the supervisor is gone.
    [[nodiscard]] int answer_fd() const { return socket_.get(); }
    /// Waits for the answer. Errors: as unmount(); not_found when the mount is in no mount table
    /// any more; io when the supervisor is gone.
    [[nodiscard]] Status answer();
    /// Reports that the mount is gone, or never was, and lets the supervisor end.
    void dismiss();
    /// When it was forked.
    [[nodiscard]] std::chrono::steady_clock::time_point born() const { return born_; }
    /// In a process beside the daemon: the supervisor takes no notice of its end.
    void leave_to_others() { socket_.reset(); }

  private:
    Supervisor(UniqueFd socket, DeathWatch watch)
        : socket_(std::move(socket)), watch_(std::move(watch)) {}
    [[nodiscard]] Status ask(char command);

    UniqueFd socket_;
    DeathWatch watch_;
    std::chrono::steady_clock::time_point born_ = std::chrono::steady_clock::now();
};

}  // namespace squenv::daemon
