// SPDX-License-Identifier: MIT
#include "cli/own_command.h"

#include <algorithm>

#include "base/file_io.h"
#include "base/secrets.h"
#include "base/shell_word.h"

namespace squenv::cli {

std::string own_command() {
    const std::string words = file_content("/proc/self/cmdline").value_or("");
    std::string command;
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = std::min(words.find('\0', at), words.size());
        std::string word = words.substr(at, end - at);
        // Where the program lies does not matter.
        if (at == 0) word.erase(0, word.rfind('/') + 1);
        command += (at == 0 ? "" : " ") + quoted_if_needed(without_secrets(word));
        at = end + 1;
    }
    return command;
}

}  // namespace squenv::cli
