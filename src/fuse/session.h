// SPDX-License-Identifier: MIT
// The FUSE session: requests in, replies out. Its users see no libfuse.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "fuse/file_system.h"
#include "fuse/recorder.h"
#include "fuse/session_memory.h"
#include "prefetch/options.h"

namespace squenv::fuse {

/// How a session runs.
struct SessionOptions {
    unsigned threads = 0;  ///< 0: chosen by the number of processors
    unsigned cpus = 1;     ///< see available_cpus(), which opens files
    /// The processor and the process of the tree walker, or -1: there is none.
    int walker_processor = -1;
    pid_t walker_pid = -1;
    bool keeps_tables = true;  ///< the tables of the image are read ahead
    prefetch::PrefetchOptions prefetch{};
    bool only_owner_and_root = false;  ///< others are refused though the kernel lets them in
    bool trace = false;                ///< libfuse prints every request on stderr
    std::string name{};                ///< the image, for log lines
    std::string identity{};            ///< what the statistics call the content
    Recorder* recorder = nullptr;      ///< notes what is touched; outlives the session
    SessionMemory* memory = nullptr;   ///< outlives the session
    /// 0: requests are not kept for a successor. Else the number of this server, above that of all
    /// before it.
    std::uint32_t server = 0;
    bool are_others_gone = false;  ///< as after Session::settle()
};

/// One mounted file system being served.
class Session {
  public:
    /// Takes over the connection `device` (an open /dev/fuse that is mounted).
    /// Errors: environment when libfuse refuses.
    [[nodiscard]] static Result<std::unique_ptr<Session>> create(const FileSystem& file_system,
                                                                 SessionOptions options,
                                                                 UniqueFd device);
    virtual ~Session() = default;

    /// Starts the worker threads. `on_ready` is called once, when INIT was answered and all
    /// threads run; `on_end` when the kernel closed the connection (unmounted). Both on a worker.
    /// A successor first answers what the server before it has left.
    /// Errors: limit (the system refuses the first thread; with fewer of the others it serves).
    [[nodiscard]] virtual Status start(std::function<void()> on_ready,
                                       std::function<void()> on_end) = 0;
    /// Waits for the workers, which end when the connection does.
    virtual void join() = 0;
    /// Before start(), of a successor: finds out whether it negotiates with the kernel as the one
    /// that mounted. Errors: environment (it does not).
    [[nodiscard]] virtual Status rehearse() = 0;
    /// After on_ready: all threads of the servers before are gone. Answers what they were
    /// receiving.
    virtual void settle() = 0;
    /// The tree walker is in another phase. Thread-safe.
    virtual void on_walk(prefetch::WalkPhase phase) = 0;

    [[nodiscard]] virtual const RequestCounters& counters() const = 0;
    /// See statistics_json(). Thread-safe.
    [[nodiscard]] virtual std::string statistics() const = 0;
};

}  // namespace squenv::fuse
