// SPDX-License-Identifier: MIT
#include "mount/sandbox.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "base/unique_fd.h"

namespace squenv::mount {

namespace {

void note(const char* what) {
    log::debug("sandbox: {}: {}", what, std::strerror(errno));
}

void drop_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2]{};
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) note("ambient set");
    if (::syscall(SYS_capset, &header, none) != 0) note("capabilities");
}

/// Handles every access right the kernel knows and allows none of them.
void deny_file_systems() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                                   LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        note("landlock");
        return;
    }
    constexpr std::uint64_t kVersion1Rights = (1ULL << 13) - 1;
    std::uint64_t rights = kVersion1Rights;
    if (version >= 2) rights |= 1ULL << 13;  // refer
    if (version >= 3) rights |= 1ULL << 14;  // truncate
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = rights;
    const UniqueFd ruleset(static_cast<int>(::syscall(
        SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0)));
    if (!ruleset || ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) note("landlock");
}

/// What serving, logging, memory and ending threads take.
constexpr int kAllowed[] = {
    SYS_read,         SYS_write,        SYS_readv,          SYS_writev,     SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,       SYS_close,        SYS_fstat,          SYS_lseek,      SYS_mmap,
    SYS_munmap,       SYS_mremap,       SYS_mprotect,       SYS_madvise,    SYS_brk,
    SYS_futex,        SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_poll,
    SYS_ppoll,        SYS_exit,         SYS_exit_group,     SYS_getpid,     SYS_gettid,
    SYS_tgkill,       SYS_getrusage,    SYS_sched_yield,    SYS_getrandom,  SYS_sendto,
    SYS_recvfrom,     SYS_rseq,         SYS_set_robust_list, SYS_restart_syscall,
    SYS_newfstatat,   SYS_sched_getaffinity, SYS_sched_setaffinity,
    SYS_shutdown,     SYS_kill,         SYS_timerfd_settime,
    SYS_epoll_wait,   SYS_epoll_ctl,    SYS_accept4,        SYS_getsockopt, SYS_sendmsg,
    SYS_recvmsg,      SYS_geteuid,
};

}  // namespace

void drop_privileges() {
    const rlimit no_core{0, 0};
    if (::setrlimit(RLIMIT_CORE, &no_core) != 0) note("core limit");
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) note("dumpable");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) note("no_new_privs");
    deny_file_systems();
    drop_capabilities();
}

void restrict_system_calls() {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const auto statement = [](unsigned code, std::uint32_t k) {
        return sock_filter{static_cast<std::uint16_t>(code), 0, 0, k};
    };
    const auto jump = [](std::uint32_t k, std::uint8_t if_true, std::uint8_t if_false) {
        return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, if_true, if_false, k};
    };
    std::vector<sock_filter> program{
        statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        jump(AUDIT_ARCH_X86_64, 1, 0),
        statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    };
    for (const int number : kAllowed) {
        program.push_back(jump(static_cast<std::uint32_t>(number), 0, 1));
        program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0)
        note("seccomp");
#else
    log::debug("sandbox: no seccomp filter in this build");
#endif
}

}  // namespace squenv::mount
