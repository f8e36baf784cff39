// SPDX-License-Identifier: MIT
#include "cli/own_command.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/secrets.h"

namespace squenv::cli {

namespace {

constexpr std::string_view kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";

std::string quoted(const std::string& word) {
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
    std::string text = "'";
    for (const char letter : word) text += letter == '\'' ? "'\\''" : std::string(1, letter);
    return text + "'";
}

}  // namespace

std::string own_command() {
    std::ifstream file("/proc/self/cmdline");
    const std::string words{std::istreambuf_iterator<char>(file), {}};
    std::string command;
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t end = std::min(words.find('\0', at), words.size());
        std::string word = words.substr(at, end - at);
        // Where the program lies does not matter.
        if (at == 0) word.erase(0, word.rfind('/') + 1);
        command += (at == 0 ? "" : " ") + quoted(without_secrets(word));
        at = end + 1;
    }
    return command;
}

}  // namespace squenv::cli
