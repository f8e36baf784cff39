// SPDX-License-Identifier: MIT
#include "fuse/libfuse_session.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/cpus.h"
#include "base/process_limits.h"
#include "base/threads.h"
#include "fuse/request_wait.h"
#include "fuse/statistics.h"

namespace squenv::fuse {

namespace {
/// Log lines per minute about requests that failed.
constexpr unsigned kLogBurst = 20;
/// Tables of 24,000 inodes have 600 KiB.
constexpr std::size_t kMaxKeptTables = 8 << 20;
/// Threads that decode ahead: more of them than this would be in each other's way.
constexpr unsigned kMaxDecoders = 4;
/// One waits for requests, one decodes. With two more, a cold replay on two processors takes 4 %
/// longer, and reading everything 16 %.
constexpr unsigned kMinThreads = 2;
constexpr unsigned kMaxThreads = 16;
}  // namespace

LibfuseSession::LibfuseSession(const FileSystem& file_system, SessionOptions options)
    : file_system_(file_system),
      options_(std::move(options)),
      memory_(*options_.memory),
      counters_(memory_.counters),
      journal_(options_.server == 0 ? nullptr : &memory_.journal),
      log_limit_(kLogBurst, std::chrono::seconds(60)) {
    if (options_.threads == 0) options_.threads = std::clamp(cpus_, kMinThreads, kMaxThreads);
    const Clock::rep now = Clock::now().time_since_epoch().count();
    Clock::rep none = 0;
    if (memory_.started.compare_exchange_strong(none, now)) memory_.last_request = now;
    if (journal_ == nullptr) return;
    journal_->attach(options_.server);
    channel_.use(*journal_);
}

LibfuseSession::~LibfuseSession() {
    join();
    if (session_ != nullptr) fuse_session_destroy(session_);
}

Status LibfuseSession::open(UniqueFd device) {
    std::vector<std::string> words{"squenv"};
    if (options_.trace) words.emplace_back("-d");
    if (options_.only_owner_and_root) words.insert(words.end(), {"-o", "allow_root"});
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    fuse_args args = FUSE_ARGS_INIT(static_cast<int>(arguments.size()), arguments.data());
    session_ = fuse_session_new(&args, &operations(), sizeof(fuse_lowlevel_ops), this);
    fuse_opt_free_args(&args);  // libfuse has made a copy of its own
    if (session_ == nullptr) return fail(Errc::environment, "libfuse refused to make a session");
    static constexpr fuse_custom_io kIo{
        .writev =
            [](int fd, iovec* parts, int count, void* self) {
                return static_cast<LibfuseSession*>(self)->channel_.writev(fd, parts, count);
            },
        .read =
            [](int fd, void* buffer, std::size_t size, void* self) {
                return static_cast<LibfuseSession*>(self)->channel_.read(fd, buffer, size);
            },
        .splice_receive = nullptr,
        .splice_send = nullptr};
    const int fd = device.get();
    SQUENV_TRY_ASSIGN(token_, ReaderToken::create(fd));
    if (const int code = fuse_session_custom_io(session_, &kIo, fd); code != 0)
        return fail_errno(-code, "libfuse refused the connection");
    ::fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    device_ = fd;
    (void)device.release();  // closed by fuse_session_destroy
    store_.emplace(*session_, file_system_, *token_);
    options_.prefetch.has_walker = options_.walker_processor >= 0;
    prefetcher_.emplace(file_system_.image(), *store_, std::move(options_.prefetch));
    return {};
}

Status LibfuseSession::start(std::function<void()> on_ready, std::function<void()> on_end) {
    on_ready_ = std::move(on_ready);
    on_end_ = std::move(on_end);
    std::vector<std::jthread> made;
    if (start_threads(made, 1, [this] { work_first(); }) == 0)
        return fail_thread("a thread of the daemon");
    first_worker_ = std::move(made.front());
    return {};
}

std::string LibfuseSession::statistics() const {
    return statistics_json(file_system_.image(), memory_, prefetcher_->stored_bytes(), options_);
}

void LibfuseSession::join() {
    if (first_worker_.joinable()) first_worker_.join();
}

/// INIT is answered by one thread alone: libfuse settles its buffer size there.
void LibfuseSession::work_first() {
    std::vector<std::jthread> others;
    if (const auto status = take_over(); !status) {
        log::error("{}: {}", options_.name, status.error().message());
    } else if (channel_.is_ready()) {
        begin(others);
        log_given_up();
        work({});
    } else {
        work([&] { begin(others); });
    }
    others.clear();
    prefetcher_->stop();
    on_end_();
}

void LibfuseSession::begin(std::vector<std::jthread>& others) {
    // Fewer where the system refuses them; this one alone serves, too.
    start_threads(others, options_.threads - 1, [this] { work({}); });
    // A thread that stores may wait for what another one has to answer.
    const bool may_wait = token_->start_relief() && !others.empty();
    if (options_.keeps_tables)
        start_threads(others, 1, [this] { file_system_.image().keep_tables(kMaxKeptTables); });
    file_system_.image().source().start_readers(all_processors_);
    prefetcher_->start(std::min(cpus_, kMaxDecoders), all_processors_, may_wait);
    on_ready_();  // after the last thread: what follows may forbid making any
}

void LibfuseSession::work(const std::function<void()>& on_init_answered) {
    bool is_waiting_for_init = static_cast<bool>(on_init_answered);
    // There is a processor besides that of the program, and a thread besides this one.
    const bool can_spin = options_.threads > 1 && CPU_COUNT(&all_processors_) > 1;
    const WalkPlace walk{options_.walker_processor, prefetcher_->walk_phase(), all_processors_};
    Worker worker(*token_, walk);
    RequestWait wait(device_);
    fuse_buf buffer{};
    while (fuse_session_exited(session_) == 0) {
        worker.prepare();
        wait.wait(can_spin && !walk.is_used() && worker.may_be_followed());
        if (!(journal_ == nullptr ? serve_one(buffer) : serve_one_kept(buffer))) break;
        worker.finish();
        if (is_waiting_for_init && channel_.is_ready()) {
            is_waiting_for_init = false;
            on_init_answered();
        }
    }
    std::free(buffer.mem);
}

bool LibfuseSession::serve_one(fuse_buf& buffer) {
    const int size = fuse_session_receive_buf(session_, &buffer);
    if (size == -EINTR || size == -EAGAIN) return true;
    if (size > 0) fuse_session_process_buf(session_, &buffer);
    return size > 0;
}

/// The same through the journal. `buffer` takes what does not fit into a slot.
bool LibfuseSession::serve_one_kept(fuse_buf& buffer) {
    if (buffer.mem == nullptr) buffer.mem = std::malloc(RequestJournal::kOverflowBytes);
    if (buffer.mem == nullptr) return false;
    auto& slot = journal_->take();
    const ssize_t size = journal_->receive(
        device_, slot, {static_cast<std::byte*>(buffer.mem), RequestJournal::kOverflowBytes});
    if (size > 0) {
        process(slot);
        return true;
    }
    // ENOENT: the request was ended before it was copied.
    if (errno == EINTR || errno == EAGAIN || errno == ENOENT) return true;
    fuse_session_exit(session_);
    return false;
}

Result<std::unique_ptr<Session>> Session::create(const FileSystem& file_system,
                                                 SessionOptions options, UniqueFd device) {
    auto session = std::make_unique<LibfuseSession>(file_system, std::move(options));
    SQUENV_TRY(session->open(std::move(device)));
    return session;
}

}  // namespace squenv::fuse
