// SPDX-License-Identifier: MIT
// What limits processes: which limit refuses a thread, a process or memory. The system answers
// EAGAIN for a thread in either case.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace squenv {

/// "'ulimit -v' allows 24.0 MiB of address space", or "" where that has no limit.
[[nodiscard]] std::string address_space_limit();

/// The error of the thread `what` that the system refused: memory, or the limit of processes.
[[nodiscard]] tl::unexpected<Error> fail_thread(std::string what);

/// The error of fork(2), which failed with `sys_errno`.
[[nodiscard]] tl::unexpected<Error> fail_fork(int sys_errno);

/// How many processes of this machine the kernel has killed for want of memory, by `counters`; 0
/// where it does not say so (before Linux 4.13).
[[nodiscard]] std::uint64_t memory_kills(const std::string& counters = "/proc/vmstat");

/// Whether programs can make semaphores, which are files in /dev/shm. Python makes its worker
/// processes with them, and containers may lack that directory.
[[nodiscard]] bool has_semaphores();

/// Beyond 'ulimit -f', write(2) fails with EFBIG instead of ending this process.
void outlive_file_size_limit();
/// Before an exec: the program has the limit as its user set it.
void restore_file_size_signal();
/// Whether outlive_file_size_limit() has taken the signal, which programs have to get back.
[[nodiscard]] bool has_taken_file_size_signal();

}  // namespace squenv
