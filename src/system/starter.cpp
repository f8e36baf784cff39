// SPDX-License-Identifier: MIT
#include "system/starter.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

namespace squenv::system {

namespace {

/// The strings lie one after the other where the kernel put them. Strings set since then lie
/// elsewhere and go with the list.
void empty_environment() {
    if (environ == nullptr) return;
    char* const begin = environ[0];
    char* end = begin;
    for (char** variable = environ; *variable != nullptr && *variable == end; ++variable)
        end += std::strlen(*variable) + 1;
    if (begin != nullptr) std::memset(begin, 0, static_cast<std::size_t>(end - begin));
    static char* nothing = nullptr;
    environ = &nothing;
}

/// The variables that this process needs: the path of fusermount3, and the time zone of the log.
class KeptVariables {
  public:
    KeptVariables() {
        for (const char* name : {"PATH", "TZ"})
            if (const char* value = std::getenv(name)) values_.emplace_back(name, value);
    }
    void set_again() const {
        for (const auto& [name, value] : values_) ::setenv(name.c_str(), value.c_str(), 1);
    }

  private:
    std::vector<std::pair<std::string, std::string>> values_{};
};

void lift_soft_limits() {
    for (const auto resource : {RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NPROC,
                                RLIMIT_NOFILE, RLIMIT_RSS}) {
        rlimit limit{};
        if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == limit.rlim_max) continue;
        limit.rlim_cur = limit.rlim_max;
        (void)::setrlimit(resource, &limit);
    }
    for (const int signal : {SIGXCPU, SIGXFSZ}) ::signal(signal, SIG_IGN);
}

/// Only privileged processes may have more than an ordinary share: a refused step changes nothing.
void be_ordinary() {
    (void)::setpriority(PRIO_PROCESS, 0, 0);
    const sched_param ordinary{};
    (void)::sched_setscheduler(0, SCHED_OTHER, &ordinary);
    constexpr int kThisProcess = 1;  // IOPRIO_WHO_PROCESS
    (void)::syscall(SYS_ioprio_set, kThisProcess, 0, 0);
    if (const UniqueFd score{::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)})
        (void)!::write(score.get(), "0", 1);
}

void use_all_processors() {
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof all);  // the kernel drops what the control group does not have
    (void)::sched_setaffinity(0, sizeof all, &all);
}

}  // namespace

void forget_starter(Processors processors) {
    const KeptVariables kept;
    empty_environment();
    kept.set_again();
    lift_soft_limits();
    be_ordinary();
    if (processors == Processors::all) use_all_processors();
    ::umask(077);
}

}  // namespace squenv::system
