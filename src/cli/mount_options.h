// SPDX-License-Identifier: MIT
// The -o options of a mount, as fstab and squashfuse spell them.
#pragma once

#include <string>
#include <vector>

#include "cli/passed_over.h"
#include "daemon/request.h"

namespace squenv::cli {

/// How options are read.
struct OptionRules {
    Dialect dialect = Dialect::squenv;
    bool takes_unknown = false;                 ///< as the -s of mount(8) requires
    std::vector<std::string>* notes = nullptr;  ///< receives what the user should know, a line each
};

/// Applies "name", "name=value" or several, separated by commas. A backslash escapes a comma or
/// backslash inside a value; mount(8) also has values in double quotes. Errors: invalid_argument,
/// naming the option.
[[nodiscard]] Status apply_mount_options(const std::string& options, daemon::Request& request,
                                         const OptionRules& rules = {});

/// Whether `name`, which has no value, is among the options that mount(8) passes on.
[[nodiscard]] bool has_option(const std::string& options, const std::string& name);

/// "auto" or a number of bytes. Errors: invalid_argument.
[[nodiscard]] Status parse_offset(const std::string& text, image::OpenOptions& options);

/// A file name made absolute: the daemon has another working directory than its caller.
[[nodiscard]] std::string log_destination(const std::string& text);

}  // namespace squenv::cli
