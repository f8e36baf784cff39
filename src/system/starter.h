// SPDX-License-Identifier: MIT
// What a background process inherits from the process that started it: nothing that affects its
// other users. One of many ranks starts the daemon of all.
#pragma once

namespace squenv::system {

/// Called in a daemon, and in the processes beside it, before they make threads:
/// - The environment is emptied, also where /proc shows it: batch systems kill by it, and it may
///   name mounts of others. PATH and TZ stay, invisible to /proc.
/// - Soft limits become the hard ones (processor time, memory, file size, processes, descriptors).
///   The signals of processor time and file size are ignored.
/// - The processors become all that the control group has, not those of one rank. A process that
///   the user began on purpose keeps those that were given.
/// - Priority, scheduling class and the chance of being killed for memory become ordinary, as far
///   as the system permits.
/// - The file mode mask becomes 077. No signal is blocked but those that the caller blocks later.
/// Groups stay, because the image may be readable through them. Hard limits stay, too.
enum class Processors { all, as_given };
void forget_starter(Processors processors);

}  // namespace squenv::system
