// SPDX-License-Identifier: MIT
#include "base/secrets.h"

#include <algorithm>
#include <string_view>

namespace squenv {

std::string without_secrets(const std::string& text) {
    constexpr std::string_view kMark = "://";
    constexpr std::string_view kEnds = "/?# \t\r\n\"'";
    std::string clean;
    std::size_t done = 0;
    for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, done)) {
        const std::size_t begin = at + kMark.size();
        const std::size_t end = std::min(text.find_first_of(kEnds, begin), text.size());
        const std::size_t sign = text.substr(begin, end - begin).rfind('@');
        clean += text.substr(done, begin - done);
        done = begin;
        if (sign == std::string::npos) continue;
        clean += "***";
        done = begin + sign;
    }
    return clean + text.substr(done);
}

}  // namespace squenv
