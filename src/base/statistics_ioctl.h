// SPDX-License-Identifier: MIT
// The ioctl that a mount's daemon answers with its statistics.
#pragma once

#include <sys/ioctl.h>

#include <cstddef>

namespace squenv {

/// Size of the answer, JSON text that ends with NULs.
inline constexpr std::size_t kStatisticsBytes = 8192;
/// The ioctl on the root directory of a mount.
inline constexpr unsigned long kStatisticsIoctl = _IOR('q', 1, char[kStatisticsBytes]);

}  // namespace squenv
