// SPDX-License-Identifier: MIT
#include "daemon/death_watch.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/process_limits.h"
#include "base/shared_object.h"

namespace squenv::daemon {

struct DeathWatch::Shared {
    pthread_mutex_t is_alive;  ///< held by the watched thread
};

struct DeathNotice::Event {
    std::mutex mutex;
    UniqueFd descriptor{};  ///< written to and closed under the mutex
    pid_t process = ::getpid();
};

int DeathNotice::get() const {
    return event_ ? event_->descriptor.get() : -1;
}

void DeathNotice::reset() {
    if (!event_) return;
    // In a process that was forked the thread is not there, and may have held the mutex.
    std::unique_lock lock(event_->mutex, std::defer_lock);
    if (event_->process == ::getpid()) lock.lock();
    event_->descriptor.reset();
    if (lock) lock.unlock();
    event_.reset();
}

Result<DeathWatch> DeathWatch::create() {
    SQUENV_TRY_ASSIGN(auto shared, make_shared_object<Shared>());
    prepare(*shared);
    return DeathWatch(std::shared_ptr<Shared>(std::move(shared)));
}

Result<DeathWatch> DeathWatch::create_passable() {
    SQUENV_TRY_ASSIGN(auto shared, make_passable_object<Shared>("squenv-watch"));
    const int descriptor = descriptor_of(shared);
    if (descriptor < 0)
        return fail(Errc::unsupported, "this system has no memory that can be passed on");
    prepare(*shared);
    return DeathWatch(std::shared_ptr<Shared>(std::move(shared)), descriptor);
}

Result<DeathWatch> DeathWatch::adopt(UniqueFd memory) {
    SQUENV_TRY_ASSIGN(auto shared, map_passed_object<Shared>(std::move(memory)));
    return DeathWatch(std::shared_ptr<Shared>(std::move(shared)));
}

void DeathWatch::prepare(Shared& shared) {
    pthread_mutexattr_t kind;
    ::pthread_mutexattr_init(&kind);
    ::pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&shared.is_alive, &kind);
    ::pthread_mutexattr_destroy(&kind);
}

void DeathWatch::be_watched() {
    (void)::pthread_mutex_lock(&shared_->is_alive);
}

void DeathWatch::end_watch() {
    (void)::pthread_mutex_unlock(&shared_->is_alive);
}

Result<DeathNotice> DeathWatch::watch() {
    DeathNotice notice;
    notice.event_ = std::make_shared<DeathNotice::Event>();
    notice.event_->descriptor = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!notice.event_->descriptor) return fail_errno(errno, "eventfd");
    try {
        std::thread([shared = shared_, event = notice.event_] {
            // EOWNERDEAD: the watched thread ended. 0: it called end_watch().
            (void)::pthread_mutex_lock(&shared->is_alive);
            const std::lock_guard lock(event->mutex);
            if (event->descriptor) (void)::eventfd_write(event->descriptor.get(), 1);
        }).detach();
    } catch (const std::system_error&) {
        return fail_thread("a thread");
    }
    return notice;
}

}  // namespace squenv::daemon
