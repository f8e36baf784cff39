// SPDX-License-Identifier: MIT
#include "daemon/death_watch.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include "base/process_limits.h"
#include "base/shared_object.h"

namespace squenv::daemon {

struct DeathWatch::Shared {
    pthread_mutex_t is_alive;  ///< held by the watched thread
};

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

Result<UniqueFd> DeathWatch::watch() {
    UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
    if (!ended) return fail_errno(errno, "eventfd");
    try {
        std::thread([shared = shared_, event = ended.get()] {
            // EOWNERDEAD: the watched thread ended. 0: it called end_watch().
            (void)::pthread_mutex_lock(&shared->is_alive);
            (void)::eventfd_write(event, 1);
        }).detach();
    } catch (const std::system_error&) {
        return fail_thread("a thread");
    }
    return ended;
}

}  // namespace squenv::daemon
