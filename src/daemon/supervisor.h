// SPDX-License-Identifier: MIT
// The keeper: a small process beside the daemon that unmounts for it. It is forked before the
// daemon gives up its rights (fusermount3 is setuid, which no_new_privs forbids), and it cleans up
// when the daemon dies by any means, so that a crash leaves no dead mount behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "daemon/death_watch.h"
#include "mount/unmount.h"

namespace squenv::daemon {

/// What a keeper takes care of.
struct SupervisorDuties {
    std::string mountpoint{};            ///< empty when the mount goes with its namespace
    std::uint32_t device_minor = 0;      ///< of its connection, when the mount is there already
    std::vector<std::string> created{};  ///< directories to remove when it is gone
    int held_fd = -1;  ///< kept open until all is clean: whoever waits for it may then begin anew
};

/// The daemon's end. Not thread-safe.
class Supervisor {
  public:
    /// Forks the keeper, before the mount is made and before any thread exists. It is no child of
    /// the caller. In the keeper, every descriptor
    /// but its own is closed, the connection to /dev/fuse above all: while anybody holds that
    /// open, the kernel does not notice that the daemon is gone.
    [[nodiscard]] static Result<Supervisor> start(const SupervisorDuties& duties);

    /// Tells the keeper that the mount is there now, and the number of its connection.
    void mounted(std::uint32_t device_minor);
    /// The keeper acts from now on when the calling thread, the daemon's main one, has ended, even
    /// when another thread of the daemon is stuck. Once.
    void watch_this_thread();
    /// Unmounts through the keeper. Errors: as unmount(); not_found when the mount is in no mount
    /// table any more; io when the keeper is gone.
    [[nodiscard]] Status unmount(mount::UnmountMode mode);
    /// The same for a mount of `run`: busy also as long as a process lives that was started there.
    [[nodiscard]] Status leave();
    /// Tells the keeper that the mount is gone, or never was, and it may end.
    void dismiss();

  private:
    Supervisor(UniqueFd socket, DeathWatch watch)
        : socket_(std::move(socket)), watch_(std::move(watch)) {}
    [[nodiscard]] Status ask(char command);

    UniqueFd socket_;
    DeathWatch watch_;
};

}  // namespace squenv::daemon
