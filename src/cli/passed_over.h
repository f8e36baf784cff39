// SPDX-License-Identifier: MIT
// Mount options that are taken and change nothing, and why that is right.
#pragma once

#include <string_view>

namespace squenv::cli {

/// Whose spelling of the options is understood.
enum class Dialect {
    squenv,      ///< of our own commands: what cannot be had is an error
    mount,       ///< of mount(8), fstab and mount.fuse3, which add options of their own
    squashfuse,  ///< of scripts and container runtimes that were made for squashfuse
};

struct PassedOver {
    std::string_view option;  ///< "context=" for one with a value
    std::string_view note{};  ///< what the user gets instead; "" where nothing is missed
};

/// `option` is "name", or "name=" for one with a value; nullptr when it has to be understood.
[[nodiscard]] const PassedOver* find_passed_over(std::string_view option, Dialect dialect);

}  // namespace squenv::cli
