// SPDX-License-Identifier: MIT
// The main thread of a server process.
#pragma once

#include "daemon/server.h"
#include "daemon/server_process.h"

namespace squenv::daemon {

[[noreturn]] void end_process(int status);
/// Names of processes have 15 bytes.
void set_process_name(const char* name);

/// Serves until the kernel has closed the connection, and ends the process. Both outlive it.
class ServerMain {
  public:
    /// What a server does when no process is left that knows it. One that every standby knows goes
    /// on for what time is left to the mount. For any other the next daemon has started another
    /// one.
    enum class WithoutDaemon { goes_on, ends };
    ServerMain(Server& server, DaemonLine& line, WithoutDaemon without)
        : server_(server), line_(line), without_(without) {}

    /// The server has started.
    [[noreturn]] void run(fuse::SessionMemory& memory);

  private:
    void obey();

    Server& server_;
    DaemonLine& line_;
    WithoutDaemon without_;
    bool has_daemon_ = true;
    bool is_told_ = false;
};

}  // namespace squenv::daemon
