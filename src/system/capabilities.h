// SPDX-License-Identifier: MIT
#pragma once

namespace squenv::system {

/// Whether the calling thread has `capability` (CAP_SYS_ADMIN, ...) in its effective set.
[[nodiscard]] bool has_capability(unsigned capability);

}  // namespace squenv::system
