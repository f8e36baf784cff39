// SPDX-License-Identifier: MIT
#include "cli/printable.h"

#include <fmt/format.h>

namespace squenv::cli {

std::string printable(const std::string& name) {
    std::string text;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto byte = static_cast<unsigned char>(name[i]);
        const auto next = i + 1 < name.size() ? static_cast<unsigned char>(name[i + 1]) : 0U;
        if (byte < ' ' || byte == 0x7f) {
            text += fmt::format("\\x{:02x}", byte);
        } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
            text += fmt::format("\\x{:02x}", next);
            ++i;
        } else {
            text += name[i];
        }
    }
    return text;
}

}  // namespace squenv::cli
