// SPDX-License-Identifier: MIT
// Mount options that are accepted and change nothing, and why that is right.
#pragma once

#include <string_view>

namespace squenv::cli {

/// The program whose spelling of the options is parsed.
enum class Dialect {
    squenv,      ///< of squenv's own commands: an impossible option is an error
    mount,       ///< of mount(8), fstab and mount.fuse3, which add options of their own
    squashfuse,  ///< of scripts and container runtimes made for squashfuse
};

struct PassedOver {
    std::string_view option;  ///< "context=" for one with a value
    std::string_view note{};  ///< what the user gets instead; "" where nothing is missing
};

/// `option` is "name", or "name=" for one with a value; nullptr when it must be parsed.
[[nodiscard]] const PassedOver* find_passed_over(std::string_view option, Dialect dialect);

}  // namespace squenv::cli
