// SPDX-License-Identifier: MIT
#include "daemon/warmup.h"

#include <csignal>

#include "base/log.h"
#include "daemon/recorded_names.h"
#include "mount/connection.h"

namespace squenv::daemon {

namespace {

/// A thread that stores a page may wait for one that is locked by a request. When the daemon is
/// killed then, it and the users of the mount can only be freed by ending the connection.
bool may_store_pages(const Request& request, std::uint32_t device_minor) {
    if (request.prefetch == Prefetch::on || mount::can_abort(device_minor)) return true;
    log::info(
        "{}: nothing is stored ahead, because fusectl is not mounted: a daemon that is killed "
        "meanwhile could leave processes that cannot be killed",
        request.image_path);
    return false;
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

}  // namespace

Result<Warmup> Warmup::start(const Request& request, const Opened& opened,
                             const system::Namespaces& namespaces, Share share) {
    Warmup warmup;
    // What is done ahead of the users hides what they do.
    warmup.has_prefetch_ = request.prefetch != Prefetch::off && request.record_path.empty();
    if (!warmup.has_prefetch_) return warmup;
    warmup.stores_pages_ = may_store_pages(request, opened.device_minor);
    if (share == Share::reading) return warmup;
    warmup.processor_ = other_processor();
    warmup.list_ = load_hot_list(*opened.image);
    if (warmup.processor_ >= 0) SQUENV_TRY(warmup.start_walker(request, opened, namespaces));
    return warmup;
}

Status Warmup::start_walker(const Request& request, const Opened& opened,
                            const system::Namespaces& namespaces) {
    SQUENV_TRY_ASSIGN(walker_, TreeWalker::start(opened.mountpoint, processor_,
                                                 namespaces ? &namespaces : nullptr,
                                                 recorded_names(list_, request.view)));
    ::signal(SIGCHLD, SIG_IGN);  // its exit status is not collected
    return {};
}

void Warmup::describe(fuse::SessionOptions& options, const Inbox& inbox) {
    options.walker_processor = processor_;
    options.walker_pid = walker_ ? walker_->pid() : -1;
    options.keeps_tables = has_prefetch_;
    options.prefetch.stores_pages = stores_pages_;
    options.prefetch.recorded = std::move(list_);
    if (walker_)
        options.prefetch.call_walker = [&inbox](prefetch::WalkerCall call) {
            inbox.post(call == prefetch::WalkerCall::now ? Event::walk_now
                                                         : Event::walk_after_pause);
        };
}

void Warmup::on_ready() {
    walk_started_ = std::chrono::steady_clock::now();
    if (walker_) walker_->begin();
}

void Warmup::walk_after_pause(fuse::Session& session) {
    is_called_ = true;
    resume(session);
}

void Warmup::walk_now(fuse::Session& session) {
    is_called_ = true;
    if (is_paused_)
        resume(session);
    else if (walker_)
        walker_->begin();  // ends what it does before the pause, and that
}

/// A walker that has paused has done what was needed first. It goes on when no request waits for
/// the processor.
void Warmup::on_walker(fuse::Session& session) {
    if (!walker_ || !walker_->has_paused()) return end(session);
    session.on_walk(prefetch::WalkPhase::paused);
    is_paused_ = true;
    log_phase("paused", session);
    resume(session);
}

void Warmup::resume(fuse::Session& session) {
    if (!walker_ || !is_called_ || !is_paused_) return;
    is_paused_ = false;
    session.on_walk(prefetch::WalkPhase::ahead);
    walker_->begin();
}

void Warmup::end(fuse::Session& session) {
    if (!walker_) return;
    log_phase("ended", session);
    walker_->stop();
    walker_.reset();
    session.on_walk(prefetch::WalkPhase::over);
}

void Warmup::log_phase(const char* phase, const fuse::Session& session) const {
    log::debug("warming {} after {:.1f} ms, {} requests", phase, milliseconds_since(walk_started_),
               session.counters().total());
}

}  // namespace squenv::daemon
