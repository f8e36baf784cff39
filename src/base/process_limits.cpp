// SPDX-License-Identifier: MIT
#include "base/process_limits.h"

#include <fmt/core.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <utility>

#include "base/units.h"

namespace squenv {

namespace {

constexpr std::size_t kUsualStack = 8 << 20;

bool taken_signal = false;  ///< SIGXFSZ had its default action

std::size_t stack_bytes() {
    pthread_attr_t attributes;
    std::size_t bytes = kUsualStack;
    if (::pthread_attr_init(&attributes) != 0) return bytes;
    (void)::pthread_attr_getstacksize(&attributes, &bytes);
    ::pthread_attr_destroy(&attributes);
    return bytes;
}

/// What a thread takes before it runs.
bool has_memory_for_stack() {
    const std::size_t bytes = stack_bytes();
    void* stack = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return false;
    ::munmap(stack, bytes);
    return true;
}

/// What a user can raise where no process may be made.
std::string processes_hint() {
    rlimit limit{};
    const bool is_limited =
        ::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return "raise the limit of processes (" +
           (is_limited ? fmt::format("'ulimit -u' allows {} to this user", limit.rlim_cur)
                       : std::string("'ulimit -u'")) +
           ", pids.max of the container)";
}

}  // namespace

std::string address_space_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
    return fmt::format("'ulimit -v' allows {} of address space", format_size(limit.rlim_cur));
}

tl::unexpected<Error> fail_thread(std::string what) {
    if (!has_memory_for_stack()) return fail_memory(std::move(what));
    return fail_errno(EAGAIN, std::move(what), processes_hint());
}

tl::unexpected<Error> fail_fork(int sys_errno) {
    return fail_errno(sys_errno, "fork", sys_errno == EAGAIN ? processes_hint() : std::string());
}

bool has_semaphores() {
    return ::access("/dev/shm", W_OK) == 0;
}

std::uint64_t memory_kills(const std::string& counters) {
    std::ifstream events(counters);
    std::string name;
    for (std::uint64_t count = 0; events >> name >> count;)
        if (name == "oom_kill") return count;
    return 0;
}

void outlive_file_size_limit() {
    taken_signal = ::signal(SIGXFSZ, SIG_IGN) == SIG_DFL;
}

void restore_file_size_signal() {
    if (taken_signal) ::signal(SIGXFSZ, SIG_DFL);
}

bool has_taken_file_size_signal() {
    return taken_signal;
}

}  // namespace squenv
