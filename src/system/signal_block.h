// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

namespace squenv::system {

/// Holds back the signals that end a process in an orderly way (Ctrl-C, hangup, termination) while
/// a mount is made. Between the mount and a daemon that serves it, no process could remove the
/// mount. The destructor delivers what came meanwhile. For processes with one thread.
class SignalBlock {
  public:
    SignalBlock() {
        sigset_t held;
        ::sigemptyset(&held);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP})
            ::sigaddset(&held, signal);
        ::sigprocmask(SIG_BLOCK, &held, &before_);
    }
    SignalBlock(const SignalBlock&) = delete;
    SignalBlock& operator=(const SignalBlock&) = delete;
    ~SignalBlock() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_{};
};

}  // namespace squenv::system
