// SPDX-License-Identifier: MIT
// The FUSE session: requests in, replies out. Its users see no libfuse.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "appendix/appendix.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse/file_system.h"
#include "fuse/recorder.h"
#include "fuse/request_counters.h"

namespace squenv::fuse {

/// How a session runs.
struct SessionOptions {
    unsigned threads = 0;  ///< 0: chosen by the number of processors
    /// The processor and process that walk the mount ahead of its users, or -1: nobody does.
    int warming_processor = -1;
    pid_t warmer_pid = -1;
    bool prefetch = true;  ///< what will be asked for is prepared
    bool stores_pages = true;  ///< decoded bytes go into the page cache before they are asked for
    /// What a program needs early; stored ahead of it when `stores_pages` is on.
    std::vector<appendix::HotItem> hot{};
    /// Called when what `hot` needs is stored: the warmer's pause can end. On any thread, perhaps
    /// several times.
    std::function<void()> on_quiet{};
    /// Called once when users only list directories: the warmer's place is ahead of them.
    std::function<void()> on_listers{};
    bool only_owner_and_root = false;  ///< others are refused though the kernel lets them in
    bool trace = false;                ///< libfuse prints every request on stderr
    std::string name{};                ///< the image, for log lines
    std::string identity{};            ///< what the statistics call the content, see daemon/request.h
    Recorder* recorder = nullptr;      ///< notes what is touched; outlives the session
};

/// One mounted file system being served.
class Session {
  public:
    /// Takes over the connection `device` (an open /dev/fuse that is mounted).
    /// Errors: environment when libfuse refuses.
    [[nodiscard]] static Result<std::unique_ptr<Session>> create(const FileSystem& file_system,
                                                                 const SessionOptions& options,
                                                                 UniqueFd device);
    virtual ~Session() = default;

    /// Starts the worker threads. `on_ready` is called once, when INIT was answered and all
    /// threads run; `on_end` when the kernel closed the connection (unmounted). Both on a worker.
    /// Errors: limit (the system refuses the first thread; with fewer of the others it serves).
    [[nodiscard]] virtual Status start(std::function<void()> on_ready,
                                       std::function<void()> on_end) = 0;
    /// Waits for the workers, which end when the connection does.
    virtual void join() = 0;
    /// Nobody walks the mount ahead of its users for the time being, again, or any more.
    /// Thread-safe.
    virtual void pause_warming() = 0;
    virtual void resume_warming() = 0;
    virtual void end_warming() = 0;

    /// Seconds since the last request, on the monotonic clock.
    [[nodiscard]] virtual double idle_seconds() const = 0;
    [[nodiscard]] virtual const RequestCounters& counters() const = 0;
};

}  // namespace squenv::fuse
