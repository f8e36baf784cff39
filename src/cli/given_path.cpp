// SPDX-License-Identifier: MIT
#include "cli/given_path.h"

#include "base/environment.h"

namespace squenv::cli {

Result<std::string> given_path(const std::string& text) {
    if (!text.starts_with('~')) return text;
    const std::string rest = text.substr(1);
    if (!rest.empty() && rest.front() != '/')
        return fail(Errc::invalid_argument,
                    text + ": only a shell knows the home directory of another user",
                    "write the whole path, or ./" + text + " for a directory of that name");
    const std::string home = environment_variable("HOME");
    if (!home.starts_with('/'))
        return fail(Errc::invalid_argument, text + ": HOME names no directory",
                    "write the whole path");
    return home + rest;
}

}  // namespace squenv::cli
