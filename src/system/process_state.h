// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace squenv::system {

/// What keeps a process from answering.
enum class ProcessState {
    running,  ///< nothing is visible that keeps it, or the process cannot be seen
    stopped,  ///< by a signal or a debugger
    frozen,   ///< by its control group
    dead,     ///< gone, or killed while a thread of it is stuck in the kernel
};

[[nodiscard]] ProcessState process_state(pid_t process);

/// The letter of the state in the text of /proc/PID/stat; '?' when there is none.
[[nodiscard]] char state_letter(std::string_view stat);

/// The state as a clause: "is stopped". The command that mends it is the hint of an error.
[[nodiscard]] const char* state_text(ProcessState state);
[[nodiscard]] std::string state_remedy(ProcessState state, pid_t process);

}  // namespace squenv::system
