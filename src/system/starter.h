// SPDX-License-Identifier: MIT
// What a process in the background takes over from the one that started it: nothing that its other
// users could feel. One of many ranks starts the daemon of all.
#pragma once

namespace squenv::system {

/// Called in a daemon, and in the processes beside it, before they make threads:
/// - the environment is emptied, also where /proc shows it: batch systems kill by it, and it may
///   name mounts of others; PATH and TZ stay, unseen;
/// - soft limits become the hard ones (processor time, memory, file size, processes, descriptors);
///   the signals of processor time and file size are ignored;
/// - processors: all that the control group has, not those of one rank; or, where the user began
/// this
///   process on purpose, those that were given;
/// - priority, scheduling class and chance of being killed for memory become ordinary, as far as
///   the system permits;
/// - the file mode mask is 077, no signal is blocked but what the caller blocks later.
/// Groups stay: they may be what the image can be read by. Hard limits stay, too.
enum class Processors { all, as_given };
void forget_starter(Processors processors);

}  // namespace squenv::system
