// SPDX-License-Identifier: MIT
#define FUSE_USE_VERSION 314
#include "fuse/session.h"

#include <fuse_lowlevel.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "base/cpus.h"
#include "base/log.h"
#include "base/slow_work.h"
#include "fuse/device_channel.h"
#include "fuse/reader_turn.h"
#include "fuse/statistics.h"

namespace squenv::fuse {

namespace {

using Clock = std::chrono::steady_clock;

/// Nothing in the image ever changes, so nothing the kernel knows ever expires.
constexpr double kForever = std::numeric_limits<double>::max();
/// Requests the kernel may have under way that nobody waits for (read-ahead); its default is 12.
constexpr unsigned kMaxBackground = 64;
/// Log lines per minute about requests that failed.
constexpr unsigned kLogBurst = 20;
constexpr std::chrono::microseconds kDeferral{4000};

class LibfuseSession final : public Session {
  public:
    LibfuseSession(const FileSystem& file_system, const SessionOptions& options)
        : file_system_(file_system), options_(options) {}
    ~LibfuseSession() override {
        join();
        if (session_ != nullptr) fuse_session_destroy(session_);
    }

    Status open(UniqueFd device);
    void start(std::function<void()> on_ready, std::function<void()> on_end) override;
    void join() override {
        if (first_worker_.joinable()) first_worker_.join();
    }
    void end_warming() override;
    void set_warmer(pid_t pid) override { warmer_pid_ = pid; }
    [[nodiscard]] double idle_seconds() const override {
        const auto last = Clock::time_point(Clock::duration(last_request_.load()));
        return std::chrono::duration<double>(Clock::now() - last).count();
    }
    [[nodiscard]] const RequestCounters& counters() const override { return counters_; }

    // The callbacks of libfuse; see fuse_lowlevel.h for what each must answer.
    static void on_init(void* self, fuse_conn_info* connection);
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

  private:
    static LibfuseSession& self(fuse_req_t request) {
        return *static_cast<LibfuseSession*>(fuse_req_userdata(request));
    }
    /// Counts the request and runs `answer`; whatever it throws becomes an error reply.
    template <class Answer>
    static void handle(fuse_req_t request, RequestKind kind, fuse_ino_t node, Answer&& answer);
    void reply_error(fuse_req_t request, RequestKind kind, fuse_ino_t node, const Error& error);
    void list(fuse_req_t request, RequestKind kind, fuse_ino_t node, std::size_t size,
              off_t offset);
    std::size_t add_entry(fuse_req_t request, RequestKind kind, char* buffer, std::size_t room,
                          const FileSystem::Entry& entry, bool is_names_only);
    void work_first();
    void work(const std::function<void()>& on_init_answered);

    const FileSystem& file_system_;
    SessionOptions options_;
    Clock::time_point started_ = Clock::now();
    std::atomic<Clock::rep> last_request_{Clock::now().time_since_epoch().count()};
    RequestCounters counters_;
    DeviceChannel channel_;
    std::optional<ReaderTurn> turn_;
    log::RateLimit log_limit_{kLogBurst, std::chrono::seconds(60)};
    bool can_skip_open_ = false;
    bool can_skip_opendir_ = false;
    fuse_session* session_ = nullptr;
    std::function<void()> on_ready_;
    std::function<void()> on_end_;
    std::atomic<bool> is_warming_{false};
    std::atomic<bool> is_lister_{false};
    std::atomic<pid_t> warmer_pid_{-1};
    struct Deferred { fuse_req_t request; fuse_ino_t node; std::size_t size; Clock::time_point since; };
    std::mutex deferred_mutex_;
    std::deque<Deferred> deferred_;
    bool defer(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset);
    void flush(Clock::time_point oldest);
    std::jthread first_worker_;
};

fuse_entry_param entry_of(const Node& node) {
    fuse_entry_param entry{};
    entry.ino = node.id;
    entry.attr = node.attributes;
    entry.attr_timeout = kForever;
    entry.entry_timeout = kForever;
    return entry;
}

template <class Answer>
void LibfuseSession::handle(fuse_req_t request, RequestKind kind, fuse_ino_t node,
                            Answer&& answer) {
    auto& session = self(request);
    session.counters_.count(kind);
    session.last_request_.store(Clock::now().time_since_epoch().count(),
                                std::memory_order_relaxed);
    try {
        std::forward<Answer>(answer)(session);
    } catch (const std::bad_alloc&) {
        session.reply_error(request, kind, node, Error{Errc::limit, ENOMEM, "out of memory", {}});
    } catch (const std::exception& exception) {
        session.reply_error(request, kind, node, Error{Errc::internal, 0, exception.what(), {}});
    }
}

void LibfuseSession::reply_error(fuse_req_t request, RequestKind kind, fuse_ino_t node,
                                 const Error& error) {
    fuse_reply_err(request, to_errno(error));
    counters_.count_error();
    std::uint64_t suppressed = 0;
    if (!log_limit_.allow(suppressed)) return;
    log::error("{}: {} of node {:#x}: {}{}", options_.name, request_name(kind), node,
               error.message(),
               file_system_.image().has_changed()
                   ? "; the image file was changed after it was mounted: mount it again"
                   : "");
    if (suppressed != 0) log::error("{}: {} more failed requests", options_.name, suppressed);
}

void LibfuseSession::on_init(void* userdata, fuse_conn_info* connection) {
    auto& session = *static_cast<LibfuseSession*>(userdata);
    session.can_skip_open_ = (connection->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    session.can_skip_opendir_ = (connection->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
    const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
                            FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS |
                            FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_IOCTL_DIR |
                            FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT;
    connection->want = connection->capable & wanted;
    connection->max_background = kMaxBackground;
    connection->congestion_threshold = kMaxBackground * 3 / 4;
}

void LibfuseSession::on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    handle(request, RequestKind::lookup, parent, [&](LibfuseSession& session) {
        const auto found = session.file_system_.lookup(parent, name);
        if (!found)
            return session.reply_error(request, RequestKind::lookup, parent, found.error());
        // A node of 0 is a cached "no such file".
        const auto entry = entry_of(*found ? **found : Node{});
        fuse_reply_entry(request, &entry);
    });
}

void LibfuseSession::on_forget(fuse_req_t request, fuse_ino_t /*node*/, std::uint64_t /*count*/) {
    self(request).counters_.count(RequestKind::forget);
    fuse_reply_none(request);
}

void LibfuseSession::on_forget_multi(fuse_req_t request, std::size_t /*count*/,
                                     fuse_forget_data* /*nodes*/) {
    self(request).counters_.count(RequestKind::forget);
    fuse_reply_none(request);
}

void LibfuseSession::on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* /*file*/) {
    handle(request, RequestKind::getattr, node, [&](LibfuseSession& session) {
        const auto attributes = session.file_system_.attributes(node);
        if (!attributes)
            return session.reply_error(request, RequestKind::getattr, node, attributes.error());
        fuse_reply_attr(request, &*attributes, kForever);
    });
}

void LibfuseSession::on_readlink(fuse_req_t request, fuse_ino_t node) {
    handle(request, RequestKind::readlink, node, [&](LibfuseSession& session) {
        const auto target = session.file_system_.read_link(node);
        if (!target)
            return session.reply_error(request, RequestKind::readlink, node, target.error());
        fuse_reply_readlink(request, target->c_str());
    });
}

void LibfuseSession::on_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    handle(request, RequestKind::open, node, [&](LibfuseSession& session) {
        // ENOSYS once means: never ask again, opening always works, keep the page cache.
        if (session.can_skip_open_) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        file->keep_cache = 1;
        fuse_reply_open(request, file);
    });
}

void LibfuseSession::on_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    handle(request, RequestKind::opendir, node, [&](LibfuseSession& session) {
        if (session.can_skip_opendir_) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        file->keep_cache = 1;
        file->cache_readdir = 1;
        fuse_reply_open(request, file);
    });
}

void LibfuseSession::on_read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                             fuse_file_info* /*file*/) {
    handle(request, RequestKind::read, node, [&](LibfuseSession& session) {
        const auto slices =
            session.file_system_.read(node, static_cast<std::uint64_t>(offset), size);
        if (!slices)
            return session.reply_error(request, RequestKind::read, node, slices.error());
        std::vector<iovec> parts;
        parts.reserve(slices->size());
        std::size_t total = 0;
        for (const auto& slice : *slices) {
            parts.push_back({const_cast<std::byte*>(slice.bytes.data()), slice.bytes.size()});
            total += slice.bytes.size();
        }
        session.counters_.count_bytes(total);
        fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
    });
}

/// Appends one entry; 0 when it does not fit any more.
std::size_t LibfuseSession::add_entry(fuse_req_t request, RequestKind kind, char* buffer,
                                      std::size_t room, const FileSystem::Entry& entry,
                                      bool is_names_only) {
    const std::string name(entry.name);
    const auto next = static_cast<off_t>(entry.next_offset);
    fuse_entry_param param{};
    param.attr.st_ino = entry.inode_number;
    param.attr.st_mode = entry.type;
    std::size_t needed = 0;
    if (kind == RequestKind::readdir) {
        needed = fuse_add_direntry(request, buffer, room, name.c_str(), &param.attr, next);
    } else {
        // An inode that cannot be read is listed without attributes; using it reports the error.
        if (!entry.is_dot && (entry.type == S_IFDIR || !is_names_only))
            if (const auto node = file_system_.node(entry)) param = entry_of(*node);
        needed = fuse_add_direntry_plus(request, buffer, room, name.c_str(), &param, next);
    }
    return needed <= room ? needed : 0;
}

void LibfuseSession::list(fuse_req_t request, RequestKind kind, fuse_ino_t node, std::size_t size,
                          off_t offset) {
    const std::unique_ptr<char[]> buffer(new char[size]);
    std::size_t used = 0;
    const bool is_names_only = is_warming_ && is_lister_ &&
                               fuse_req_ctx(request)->pid == warmer_pid_;
    const auto status = file_system_.list(
        node, static_cast<std::uint64_t>(offset), [&](const FileSystem::Entry& entry) {
            const std::size_t added =
                add_entry(request, kind, buffer.get() + used, size - used, entry, is_names_only);
            used += added;
            return added != 0;
        });
    if (!status) return reply_error(request, kind, node, status.error());
    fuse_reply_buf(request, buffer.get(), used);
}

void LibfuseSession::on_readdir(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                off_t offset, fuse_file_info* /*file*/) {
    handle(request, RequestKind::readdir, node, [&](LibfuseSession& session) {
        session.list(request, RequestKind::readdir, node, size, offset);
    });
}

bool LibfuseSession::defer(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset) {
    if (!is_warming_) return false;
    const pid_t pid = fuse_req_ctx(request)->pid;
    if (pid == warmer_pid_) {
        flush(Clock::now() - kDeferral);
        return false;
    }
    if (offset != 0 || counters_.of(RequestKind::read) != 0) return false;
    is_lister_ = true;
    std::lock_guard lock(deferred_mutex_);
    if (!is_warming_) return false;
    deferred_.push_back({request, node, size, Clock::now()});
    return true;
}

void LibfuseSession::flush(Clock::time_point oldest) {
    std::vector<Deferred> due;
    {
        std::lock_guard lock(deferred_mutex_);
        while (!deferred_.empty() && deferred_.front().since <= oldest) {
            due.push_back(deferred_.front());
            deferred_.pop_front();
        }
    }
    for (const auto& one : due) list(one.request, RequestKind::readdirplus, one.node, one.size, 0);
}

void LibfuseSession::end_warming() {
    {
        std::lock_guard lock(deferred_mutex_);
        is_warming_ = false;
    }
    flush(Clock::time_point::max());
}

void LibfuseSession::on_readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                    off_t offset, fuse_file_info* /*file*/) {
    handle(request, RequestKind::readdirplus, node, [&](LibfuseSession& session) {
        if (session.defer(request, node, size, offset)) return;
        session.list(request, RequestKind::readdirplus, node, size, offset);
    });
}

void LibfuseSession::on_statfs(fuse_req_t request, fuse_ino_t node) {
    handle(request, RequestKind::statfs, node, [&](LibfuseSession& session) {
        const auto statistics = session.file_system_.statistics();
        fuse_reply_statfs(request, &statistics);
    });
}

/// The two-step protocol of xattr calls: a size of 0 asks how long the answer is.
void reply_xattr(fuse_req_t request, ByteView value, std::size_t size) {
    if (size == 0)
        fuse_reply_xattr(request, value.size());
    else if (value.size() > size)
        fuse_reply_err(request, ERANGE);
    else
        fuse_reply_buf(request, reinterpret_cast<const char*>(value.data()), value.size());
}

void LibfuseSession::on_getxattr(fuse_req_t request, fuse_ino_t node, const char* name,
                                 std::size_t size) {
    handle(request, RequestKind::getxattr, node, [&](LibfuseSession& session) {
        // ENOSYS once means: never ask again. Every exec asks for security.capability otherwise.
        if (!session.file_system_.has_xattrs()) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        const auto value = session.file_system_.xattr(node, name);
        if (!value)
            return session.reply_error(request, RequestKind::getxattr, node, value.error());
        if (!*value)
            fuse_reply_err(request, ENODATA);
        else
            reply_xattr(request, **value, size);
    });
}

void LibfuseSession::on_listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size) {
    handle(request, RequestKind::listxattr, node, [&](LibfuseSession& session) {
        if (!session.file_system_.has_xattrs()) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        const auto names = session.file_system_.xattr_names(node);
        if (!names)
            return session.reply_error(request, RequestKind::listxattr, node, names.error());
        std::string list;
        for (const auto& name : *names) list += name + '\0';
        reply_xattr(request, as_bytes(list), size);
    });
}

void LibfuseSession::on_access(fuse_req_t request, fuse_ino_t node, int /*mask*/) {
    handle(request, RequestKind::access, node,
           [&](LibfuseSession& /*session*/) { fuse_reply_err(request, ENOSYS); });
}

void LibfuseSession::on_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                              fuse_file_info* /*file*/) {
    handle(request, RequestKind::lseek, node, [&](LibfuseSession& session) {
        if (offset < 0 || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
            fuse_reply_err(request, offset < 0 ? ENXIO : EINVAL);
            return;
        }
        const auto what =
            whence == SEEK_DATA ? image::FileData::Seek::data : image::FileData::Seek::hole;
        const auto found =
            session.file_system_.seek(node, static_cast<std::uint64_t>(offset), what);
        if (!found)
            return session.reply_error(request, RequestKind::lseek, node, found.error());
        if (!*found)
            fuse_reply_err(request, ENXIO);
        else
            fuse_reply_lseek(request, static_cast<off_t>(**found));
    });
}

void LibfuseSession::on_ioctl(fuse_req_t request, fuse_ino_t node, unsigned command,
                              void* /*argument*/, fuse_file_info* /*file*/, unsigned /*flags*/,
                              const void* /*input*/, std::size_t /*input_size*/,
                              std::size_t output_size) {
    handle(request, RequestKind::ioctl, node, [&](LibfuseSession& session) {
        if (command != static_cast<unsigned>(statistics_ioctl()) ||
            output_size < kStatisticsBytes) {
            fuse_reply_err(request, ENOTTY);
            return;
        }
        std::string text = statistics_json(session.file_system_.image(), session.counters_,
                                           session.options_.name, session.started_);
        text.resize(kStatisticsBytes, '\0');
        fuse_reply_ioctl(request, 0, text.data(), text.size());
    });
}

constexpr fuse_lowlevel_ops make_operations() {
    fuse_lowlevel_ops operations{};
    operations.init = LibfuseSession::on_init;
    operations.lookup = LibfuseSession::on_lookup;
    operations.forget = LibfuseSession::on_forget;
    operations.forget_multi = LibfuseSession::on_forget_multi;
    operations.getattr = LibfuseSession::on_getattr;
    operations.readlink = LibfuseSession::on_readlink;
    operations.open = LibfuseSession::on_open;
    operations.opendir = LibfuseSession::on_opendir;
    operations.read = LibfuseSession::on_read;
    operations.readdir = LibfuseSession::on_readdir;
    operations.readdirplus = LibfuseSession::on_readdirplus;
    operations.statfs = LibfuseSession::on_statfs;
    operations.getxattr = LibfuseSession::on_getxattr;
    operations.listxattr = LibfuseSession::on_listxattr;
    operations.access = LibfuseSession::on_access;
    operations.lseek = LibfuseSession::on_lseek;
    operations.ioctl = LibfuseSession::on_ioctl;
    return operations;
}

Status LibfuseSession::open(UniqueFd device) {
    static constexpr fuse_lowlevel_ops kOperations = make_operations();
    std::vector<std::string> words{"squenv"};
    if (options_.trace) words.emplace_back("-d");
    if (options_.only_owner_and_root) words.insert(words.end(), {"-o", "allow_root"});
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    fuse_args args = FUSE_ARGS_INIT(static_cast<int>(arguments.size()), arguments.data());
    session_ = fuse_session_new(&args, &kOperations, sizeof kOperations, this);
    if (session_ == nullptr) return fail(Errc::environment, "libfuse refused to make a session");
    static constexpr fuse_custom_io kIo{
        .writev = [](int fd, iovec* parts, int count, void* self) {
            return static_cast<LibfuseSession*>(self)->channel_.writev(fd, parts, count);
        },
        .read = [](int fd, void* buffer, std::size_t size, void* self) {
            return static_cast<LibfuseSession*>(self)->channel_.read(fd, buffer, size);
        },
        .splice_receive = nullptr,
        .splice_send = nullptr};
    const int fd = device.get();
    if (const int code = fuse_session_custom_io(session_, &kIo, fd); code != 0)
        return fail_errno(-code, "libfuse refused the connection");
    turn_.emplace(fd);
    (void)device.release();  // closed by fuse_session_destroy
    return {};
}

void LibfuseSession::start(std::function<void()> on_ready, std::function<void()> on_end) {
    on_ready_ = std::move(on_ready);
    on_end_ = std::move(on_end);
    is_warming_ = options_.warming_processor >= 0;
    first_worker_ = std::jthread([this] { work_first(); });
}

/// INIT is answered by one thread alone: libfuse settles its buffer size there.
void LibfuseSession::work_first() {
    std::vector<std::jthread> others;
    work([&] {
        const unsigned threads = options_.threads != 0 ? options_.threads : available_cpus() + 2;
        for (unsigned i = 1; i < threads; ++i) others.emplace_back([this] { work({}); });
        on_ready_();  // after the last thread: what follows may forbid making any
    });
    others.clear();
    on_end_();
}

/// Passes the reader's turn on when the request under way turns out to be slow.
class TurnKeeper final : public SlowWorkObserver {
  public:
    /// While `is_warming`, the turn stays on the processor of the warmer.
    TurnKeeper(ReaderTurn& turn, const std::atomic<bool>& is_warming)
        : turn_(turn), is_warming_(is_warming) {}
    ~TurnKeeper() override {
        if (has_turn_) turn_.pass();
    }
    void take() {
        if (!has_turn_) turn_.take();
        has_turn_ = true;
        was_slow_ = false;
    }
    void on_slow_work() override {
        was_slow_ = true;
        if (has_turn_ && !is_warming_ && turn_.should_pass()) {
            has_turn_ = false;
            turn_.pass();
        }
    }
    void end_request() {
        if (has_turn_ && was_slow_) turn_.note_end_of_slow_work();
    }

  private:
    ReaderTurn& turn_;
    const std::atomic<bool>& is_warming_;
    bool has_turn_ = false;
    bool was_slow_ = false;
};

/// Keeps the calling thread on one processor, or (-1) lets it go where it may.
class Affinity {
  public:
    Affinity() { ::sched_getaffinity(0, sizeof all_, &all_); }
    void set(int processor) {
        if (processor == processor_) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        if (processor >= 0) CPU_SET(static_cast<unsigned>(processor), &one);
        ::sched_setaffinity(0, sizeof one, processor >= 0 ? &one : &all_);
        processor_ = processor;
    }

  private:
    cpu_set_t all_{};
    int processor_ = -1;
};

void LibfuseSession::work(const std::function<void()>& on_init_answered) {
    bool is_waiting_for_init = static_cast<bool>(on_init_answered);
    TurnKeeper turn(*turn_, is_warming_);
    Affinity affinity;
    fuse_buf buffer{};
    while (fuse_session_exited(session_) == 0) {
        turn.take();
        affinity.set(is_warming_ ? options_.warming_processor : -1);
        const int size = fuse_session_receive_buf(session_, &buffer);
        if (size == -EINTR || size == -EAGAIN) continue;
        if (size <= 0) break;
        fuse_session_process_buf(session_, &buffer);
        turn.end_request();
        if (is_waiting_for_init && channel_.is_ready()) {
            is_waiting_for_init = false;
            on_init_answered();
        }
    }
    std::free(buffer.mem);
}

}  // namespace

unsigned long statistics_ioctl() {
    return _IOR('q', 1, char[kStatisticsBytes]);
}

Result<std::unique_ptr<Session>> Session::create(const FileSystem& file_system,
                                                 const SessionOptions& options, UniqueFd device) {
    auto session = std::make_unique<LibfuseSession>(file_system, options);
    SQUENV_TRY(session->open(std::move(device)));
    return session;
}

}  // namespace squenv::fuse
