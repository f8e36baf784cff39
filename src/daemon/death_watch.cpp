// SPDX-License-Identifier: MIT
#include "daemon/death_watch.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <thread>

namespace squenv::daemon {

struct DeathWatch::Shared {
    pthread_mutex_t is_alive;  ///< held by the watched thread
};

void DeathWatch::Unmap::operator()(Shared* shared) const {
    ::munmap(shared, sizeof(Shared));
}

Result<DeathWatch> DeathWatch::create() {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "shared memory");
    auto* shared = new (memory) Shared{};
    pthread_mutexattr_t kind;
    ::pthread_mutexattr_init(&kind);
    ::pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&shared->is_alive, &kind);
    ::pthread_mutexattr_destroy(&kind);
    return DeathWatch(shared);
}

void DeathWatch::be_watched() {
    (void)::pthread_mutex_lock(&shared_->is_alive);
}

Result<UniqueFd> DeathWatch::watch() {
    UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
    if (!ended) return fail_errno(errno, "eventfd");
    try {
        // The thread lives as long as the process, as the memory does.
        std::thread([shared = shared_.get(), event = ended.get()] {
            // EOWNERDEAD: the watched thread ended. 0: it unlocked, which be_watched() never does.
            (void)::pthread_mutex_lock(&shared->is_alive);
            (void)::eventfd_write(event, 1);
        }).detach();
    } catch (const std::system_error& refused) {
        return fail_errno(refused.code().value(), "a thread");
    }
    return ended;
}

}  // namespace squenv::daemon
