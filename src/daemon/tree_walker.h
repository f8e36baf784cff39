// SPDX-License-Identifier: MIT
// The tree walker: a short-lived process that walks a fresh mount ahead of its users. The kernel
// then knows the directories and attributes before the first request for them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// A name to look up early, relative to the mount.
struct RecordedName {
    std::string path;
    bool is_directory = false;  ///< the walker lists it; it looks other names up
};

/// The daemon's handle on the walker. Not thread-safe.
///
/// The walker lists the tree like any user of the mount, on the processor on which its requests are
/// also answered. Two processes that wait for each other on one processor take 2 us to switch, on
/// two 50 us (measured on virtual machines with two). It works in a mount namespace of its own,
/// because an open directory would block unmounting. Where no namespace is available it does
/// nothing.
class TreeWalker {
  public:
    /// Forks. Before any thread exists, and before the daemon gives up its rights. `namespaces` are
    /// those of the mount, nullptr when it lives in those of the caller. The walker visits the
    /// names of `first`, if there are any, and then pauses. The rest of the tree is not worth a
    /// processor that could decode what a program waits for.
    [[nodiscard]] static Result<TreeWalker> start(const std::string& mountpoint, int processor,
                                                  const system::Namespaces* namespaces,
                                                  const std::vector<RecordedName>& first);

    /// Waits until the walker has the root of a mount in other namespaces, which an overlay may
    /// cover from then on.
    void await_root();
    /// Starts the walk; the mount answers now. A second call ends the visits to the first names and
    /// the pause.
    void begin();
    /// When ended_fd() is readable: true when the walker paused, false when it ended.
    [[nodiscard]] bool has_paused();
    /// Ends the walker at the next directory. The sandbox leaves no way to send signals.
    void stop();
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Readable when the walker has paused or ended. -1 after stop().
    [[nodiscard]] int ended_fd() const { return socket_.get(); }

  private:
    TreeWalker(UniqueFd socket, pid_t pid, bool joins)
        : socket_(std::move(socket)), pid_(pid), joins_(joins) {}
    UniqueFd socket_;
    pid_t pid_ = -1;
    bool joins_ = false;  ///< the namespaces of the mount
};

/// A processor of this process's affinity mask other than the one it runs on, or -1 when there is
/// none.
[[nodiscard]] int other_processor();

}  // namespace squenv::daemon
