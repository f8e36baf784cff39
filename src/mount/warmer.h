// SPDX-License-Identifier: MIT
// The warmer: a short-lived process that walks a fresh mount ahead of its users, so that the
// kernel knows the directories and attributes before anybody asks.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::mount {

struct Namespaces;

/// The daemon's handle on it. Not thread-safe.
///
/// It lists the tree like any user of the mount would, on the processor on which its requests are
/// also answered: two processes that wait for each other on one processor take 2 us to switch,
/// on two 50 us (measured on virtual machines with two). It works in a mount namespace of its own,
/// because an open directory would keep others from unmounting; where no namespace can be had it
/// does nothing.
class Warmer {
  public:
    /// Forks. Before any thread exists, and before the daemon gives up its rights. `home` are the
    /// namespaces that the mount lives in, nullptr when it lives in ours.
    [[nodiscard]] static Result<Warmer> start(const std::string& mountpoint, int processor,
                                              const Namespaces* home);

    /// Lets it walk; the mount answers now.
    void begin();
    /// Ends it, wherever it is.
    void stop();
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Readable when it has ended. -1 after stop().
    [[nodiscard]] int ended_fd() const { return socket_.get(); }

  private:
    Warmer(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    UniqueFd socket_;
    pid_t pid_ = -1;
};

/// A processor of this process's affinity mask other than the one it runs on, or -1 when there is
/// none.
[[nodiscard]] int other_processor();

}  // namespace squenv::mount
