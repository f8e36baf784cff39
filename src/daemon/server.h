// SPDX-License-Identifier: MIT
// The server: it answers the kernel from the image, and does nothing else.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/cpus.h"
#include "base/result.h"
#include "base/shared_object.h"
#include "daemon/inbox.h"
#include "daemon/opened.h"
#include "daemon/request.h"
#include "daemon/request_files.h"
#include "daemon/serving.h"
#include "daemon/warmup.h"
#include "fuse/recorder.h"
#include "fuse/session.h"
#include "system/namespaces.h"

namespace squenv::daemon {

/// What the servers of a mount have in common. A server that dies leaves it to the next one.
struct ServerMemory {
    SharedObject<fuse::SessionMemory> session;
    SharedObject<fuse::RecorderMemory> recorder;  ///< null without a recording

    /// Errors: limit (no memory).
    [[nodiscard]] static Result<ServerMemory> create(const Request& request);
};

/// Serves in the calling process.
class Server final : public Serving {
  public:
    struct Options {
        /// See fuse::SessionOptions::server: 0 without a successor.
        std::uint32_t number = 0;
        bool is_successor = false;  ///< it warms nothing: users are at work
        bool are_others_gone = false;
        std::function<void()> on_ready{};  ///< called once INIT was answered, on a worker
    };

    /// Everything up to the session, which answers nothing yet. `files` have begun. All but
    /// `namespaces`, those of the mount, outlive the server, which takes the connection of
    /// `opened`. An image that is not open yet is opened here, after all rights are given up.
    /// Must be called before the process has threads. Errors: environment, limit; those of
    /// open_view().
    [[nodiscard]] static Result<std::unique_ptr<Server>> create(
        const Request& request, RequestFiles& files, Opened& opened, ServerMemory& memory,
        const system::Namespaces& namespaces, Options options);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Gives up all rights first.
    [[nodiscard]] Status start() override;
    void add_sources(std::vector<EventSource>& sources) override;
    [[nodiscard]] bool is_ready() const override { return is_ready_; }
    [[nodiscard]] bool is_over() const override { return is_over_; }
    [[nodiscard]] double idle_seconds() const override { return memory_.session->idle_seconds(); }
    void end_walk() override { warmup_->end(*session_); }
    [[nodiscard]] Status finish() override;
    void kill() override {}
    /// See fuse::Session::settle(); once it is ready.
    void settle();
    /// Sends fuse::Session::statistics() as one message. It does not wait.
    void send_statistics(int socket) const;
    /// See fuse::Session::rehearse().
    [[nodiscard]] Status rehearse() { return session_->rehearse(); }

  private:
    Server(const Request& request, RequestFiles& files, Opened& opened, ServerMemory& memory,
           Options options, Inbox inbox);
    [[nodiscard]] Status create_session();
    void on_event();
    void write_recording();

    const Request& request_;
    RequestFiles& files_;
    Opened& opened_;
    ServerMemory& memory_;
    Options options_;
    Inbox inbox_;
    std::optional<Warmup> warmup_{};
    std::optional<fuse::Recorder> recorder_{};
    std::unique_ptr<fuse::Session> session_{};
    bool is_ready_ = false;
    bool is_over_ = false;
    bool is_settled_ = true;
    bool is_confined_ = false;
    const unsigned cpus_ = available_cpus();
};

}  // namespace squenv::daemon
