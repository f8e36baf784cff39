// SPDX-License-Identifier: MIT
#include "daemon/sandbox.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "base/sanitizers.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

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

/// The layout of linux/landlock.h of Linux 6.12.
struct LandlockRuleset {
    std::uint64_t handled_access_fs = 0;
    std::uint64_t handled_access_net = 0;
    std::uint64_t scoped = 0;
};

/// Handles every access right that the kernel knows and allows none of them. Signals and abstract
/// sockets of outside processes are out of reach where the kernel has scopes.
void deny_what_landlock_can() {
    const long version =
        ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        note("landlock");
        return;
    }
    LandlockRuleset rules;
    std::size_t size = offsetof(LandlockRuleset, handled_access_net);
    rules.handled_access_fs = (1ULL << 13) - 1;
    if (version >= 2) rules.handled_access_fs |= 1ULL << 13;  // refer
    if (version >= 3) rules.handled_access_fs |= 1ULL << 14;  // truncate
    if (version >= 5) rules.handled_access_fs |= 1ULL << 15;  // ioctl on devices
    if (version >= 4) {
        rules.handled_access_net = 3;  // bind and connect of TCP
        size = offsetof(LandlockRuleset, scoped);
    }
    if (version >= 6) {
        rules.scoped = 3;  // abstract sockets, signals
        size = sizeof rules;
    }
    const UniqueFd ruleset(
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0)));
    if (!ruleset || ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) note("landlock");
}

/// A daemon of root needs no right of root once the image and the device are open. Capabilities
/// must still be there. User namespaces without that id keep theirs.
void leave_root() {
    constexpr unsigned kNobody = 65534;
    if (::geteuid() != 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0)
        note("user nobody");
}

/// The system calls of serving, logging, memory and ending threads.
constexpr int kAllowed[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_close,
    SYS_fstat,
    SYS_lseek,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
#ifdef SYS_poll  // newer architectures have the calls with more arguments alone
    SYS_poll,
#endif
    SYS_ppoll,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_gettid,
    SYS_getrusage,
    SYS_sched_yield,
    SYS_getrandom,
    SYS_sendto,
    SYS_recvfrom,
    SYS_rseq,
    SYS_set_robust_list,
    SYS_restart_syscall,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_shutdown,
    SYS_timerfd_settime,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
    SYS_epoll_ctl,
    SYS_accept4,
    SYS_getsockopt,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_geteuid,
};

/// The filter under construction. Each rule ends it for its system call; all others are refused.
class Filter {
  public:
    Filter() {
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
        add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
        add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    }
    void allow(int call) {
        add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
        add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    /// Allows the call unless the argument has one of the bits of `mask`.
    void allow_without(int call, unsigned argument, std::uint32_t mask) {
        add_argument(call, argument);
        add(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1);
        add(BPF_RET | BPF_K, kRefuse);
        add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    /// Allows the call only when the argument is `value`.
    void allow_with(int call, unsigned argument, std::uint32_t value) {
        add_argument(call, argument);
        add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
        add(BPF_RET | BPF_K, kRefuse);
        add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    /// Installs the filter on every thread. False when the kernel refuses.
    [[nodiscard]] bool install() {
        add(BPF_RET | BPF_K, kRefuse);
        const sock_fprog filter{static_cast<unsigned short>(program_.size()), program_.data()};
        return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                         &filter) == 0;
    }

  private:
    static constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

    void add(unsigned code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
        program_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, k});
    }
    /// Loads the lower half of an argument for that call; other calls skip four instructions.
    void add_argument(int call, unsigned argument) {
        add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 4);
        add(BPF_LD | BPF_W | BPF_ABS,
            static_cast<std::uint32_t>(offsetof(seccomp_data, args) + std::size_t{8} * argument));
    }

    std::vector<sock_filter> program_;
};

}  // namespace

void drop_privileges() {
    const rlimit no_core{0, 0};
    if (::setrlimit(RLIMIT_CORE, &no_core) != 0) note("core limit");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) note("no_new_privs");
    deny_what_landlock_can();
    leave_root();
    drop_capabilities();
    // This step is the last: a change of the user sets it anew.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) note("dumpable");
}

void restrict_system_calls() {
#if defined(__x86_64__) && !SQUENV_HAS_SANITIZER
    Filter filter;
    for (const int call : kAllowed) filter.allow(call);
    filter.allow_without(SYS_mmap, 2, PROT_EXEC);
    filter.allow_without(SYS_mprotect, 2, PROT_EXEC);
    // abort(3) and the sanitizers signal their own process.
    filter.allow_with(SYS_tgkill, 0, static_cast<std::uint32_t>(::getpid()));
    if (!filter.install()) note("seccomp");
#else
    log::debug("sandbox: no seccomp filter in this build");
#endif
}

}  // namespace squenv::daemon
