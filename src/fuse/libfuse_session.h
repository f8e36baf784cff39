// SPDX-License-Identifier: MIT
// The session over libfuse. Private to libfuse_session.cpp, libfuse_requests.cpp and
// left_requests.cpp.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/cpus.h"
#include "base/log.h"
#include "fuse/device_channel.h"
#include "fuse/notify_store.h"
#include "fuse/reader_token.h"
#include "fuse/session.h"
#include "fuse/worker.h"
#include "prefetch/prefetcher.h"

namespace squenv::fuse {

class LibfuseSession final : public Session {
  public:
    LibfuseSession(const FileSystem& file_system, SessionOptions options);
    ~LibfuseSession() override;

    [[nodiscard]] Status open(UniqueFd device);
    [[nodiscard]] Status start(std::function<void()> on_ready,
                               std::function<void()> on_end) override;
    void join() override;
    [[nodiscard]] Status rehearse() override { return repeat_init(); }
    void settle() override {
        answer_left(true);
        log_given_up();
    }
    void on_walk(prefetch::WalkPhase phase) override { prefetcher_->on_walk(phase); }
    [[nodiscard]] const RequestCounters& counters() const override { return counters_; }
    [[nodiscard]] std::string statistics() const override;

    /// The answers to every kind of request (libfuse_requests.cpp).
    static const fuse_lowlevel_ops& operations();

  private:
    using Clock = std::chrono::steady_clock;

    // One callback of libfuse each; fuse_lowlevel.h says what it must answer.
    static void on_init(void* userdata, fuse_conn_info* connection);
    static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
    static void on_forget(fuse_req_t request, fuse_ino_t node, std::uint64_t count);
    static void on_forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* nodes);
    static void on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
    static void on_readlink(fuse_req_t request, fuse_ino_t node);
    static void on_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
    static void on_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file);
    static void on_read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                        fuse_file_info* file);
    static void on_readdir(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                           fuse_file_info* file);
    static void on_readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                               fuse_file_info* file);
    static void on_statfs(fuse_req_t request, fuse_ino_t node);
    static void on_getxattr(fuse_req_t request, fuse_ino_t node, const char* name,
                            std::size_t size);
    static void on_listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size);
    static void on_access(fuse_req_t request, fuse_ino_t node, int mask);
    static void on_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                         fuse_file_info* file);
    static void on_ioctl(fuse_req_t request, fuse_ino_t node, unsigned command, void* argument,
                         fuse_file_info* file, unsigned flags, const void* input,
                         std::size_t input_size, std::size_t output_size);

    static LibfuseSession& self(fuse_req_t request) {
        return *static_cast<LibfuseSession*>(fuse_req_userdata(request));
    }
    [[nodiscard]] bool is_of_walker(fuse_req_t request) const {
        return fuse_req_ctx(request)->pid == options_.walker_pid;
    }
    /// Counts the request and runs `answer`; whatever it throws becomes an error reply.
    template <class Answer>
    static void handle(fuse_req_t request, RequestKind kind, fuse_ino_t node, Answer&& answer);
    void reply_error(fuse_req_t request, RequestKind kind, fuse_ino_t node, const Error& error);
    /// A READ from its receipt to its answer.
    struct Read;
    void read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset);
    void reply_read(const Read& read, bool stores_siblings);
    /// Runs `answer` for a request that was counted before, as handle() does.
    template <class Answer>
    void handle_later(fuse_req_t request, RequestKind kind, fuse_ino_t node, Answer&& answer);
    /// How much of a listing's entries is told to the kernel.
    enum class Detail { names, directories, everything };
    void list(fuse_req_t request, RequestKind kind, fuse_ino_t node, std::size_t size, off_t offset,
              Detail detail);
    std::size_t add_entry(fuse_req_t request, char* buffer, std::size_t room,
                          const FileSystem::Entry& entry, Detail detail) const;
    void list_with_attributes(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset);

    void work_first();
    void begin(std::vector<std::jthread>& others);
    void work(const std::function<void()>& on_init_answered);
    /// False when the connection has ended.
    [[nodiscard]] bool serve_one(fuse_buf& buffer);
    [[nodiscard]] bool serve_one_kept(fuse_buf& buffer);

    // What a server before this one has left (left_requests.cpp).
    /// Brings the session to where the one before was, and answers what that has left. Errors:
    /// environment (this program negotiates otherwise).
    [[nodiscard]] Status take_over();
    [[nodiscard]] Status repeat_init();
    void answer_saved_init(RequestJournal::Slot& slot);
    void answer_left(bool are_gone);
    void process(RequestJournal::Slot& slot);
    void give_up(RequestJournal::Slot& slot);
    void log_given_up();

    const FileSystem& file_system_;
    SessionOptions options_;  ///< never changed, but for what is moved on to prefetcher_
    SessionMemory& memory_;
    RequestCounters& counters_;
    RequestJournal* const journal_;  ///< null when requests are not kept for a successor
    log::RateLimit log_limit_;
    DeviceChannel channel_;
    /// A request that was answered with EIO because servers died of it.
    struct GivenUp {
        std::uint32_t opcode = 0;
        NodeId node = 0;
        std::string name{};  ///< of a LOOKUP
    };
    std::vector<GivenUp> given_up_;
    bool can_skip_open_ = false;     ///< settled by INIT, before other requests
    bool can_skip_opendir_ = false;  ///< likewise
    fuse_session* session_ = nullptr;
    int device_ = -1;  ///< owned by session_
    std::unique_ptr<ReaderToken> token_;
    std::optional<NotifyStore> store_;
    std::optional<prefetch::Prefetcher> prefetcher_;
    const cpu_set_t all_processors_ = allowed_processors();
    const unsigned cpus_ = options_.cpus;
    std::function<void()> on_ready_;
    std::function<void()> on_end_;
    std::jthread first_worker_;
};

}  // namespace squenv::fuse
