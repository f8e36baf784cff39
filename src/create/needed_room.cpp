// SPDX-License-Identifier: MIT
#include "create/needed_room.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/file_io.h"

namespace squenv::create {

namespace {

/// For what the tools and the packer need besides.
constexpr std::uint64_t kBesides = 512ULL << 20;
/// A new version of an environment, with what was downloaded and built for it.
constexpr std::uint64_t kPerTreeByte = 2;
/// The content of packages, with the compiled modules.
constexpr std::uint64_t kPerLockedByte = 3;
/// No disk has more, and no sum of a few overflows.
constexpr std::uint64_t kMost = 1ULL << 50;

std::uint64_t with_besides(std::uint64_t bytes, std::uint64_t factor) {
    return std::min(bytes, kMost) * factor + kBesides;
}

bool is_word(char byte) {
    return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '_' || byte == '-';
}

/// The line with blanks for what is in double quotes, as addresses are.
std::string without_texts(std::string_view line) {
    std::string bare(line);
    bool is_text = false;
    for (char& byte : bare) {
        const bool is_quote = byte == '"';
        if (is_quote) is_text = !is_text;
        if (is_text || is_quote) byte = ' ';
    }
    return bare;
}

/// The largest number after "size =" in a line; 0 without one.
std::uint64_t largest_size(std::string_view whole_line) {
    constexpr std::string_view kName = "size";
    const std::string line = without_texts(whole_line);
    std::uint64_t largest = 0;
    for (auto at = line.find(kName); at != std::string::npos; at = line.find(kName, at)) {
        const bool is_name = at == 0 || !is_word(line[at - 1]);
        at += kName.size();
        const auto sign = line.find_first_not_of(' ', at);
        if (!is_name || sign == std::string::npos || line[sign] != '=') continue;
        const auto number = line.find_first_not_of(' ', sign + 1);
        if (number == std::string::npos) break;
        std::uint64_t size = 0;
        std::from_chars(line.data() + number, line.data() + line.size(), size);
        largest = std::max(largest, std::min(size, kMost));
    }
    return largest;
}

}  // namespace

std::uint64_t needed_room(const KnownSizes& sizes) {
    const std::uint64_t replaced = sizes.replaced ? with_besides(*sizes.replaced, kPerTreeByte) : 0;
    if (sizes.replaced && sizes.has_same_inputs) return replaced;
    if (sizes.locked) return with_besides(*sizes.locked, kPerLockedByte);
    return std::max(replaced, kUsualRoom);
}

std::optional<std::uint64_t> locked_bytes(std::string_view lock) {
    std::uint64_t sum = 0;
    std::uint64_t of_package = 0;
    bool is_package = false;
    while (!lock.empty()) {
        const std::string_view line = lock.substr(0, lock.find('\n'));
        lock.remove_prefix(std::min(lock.size(), line.size() + 1));
        if (line.starts_with("[[package]]") || line.starts_with("[[packages]]")) {
            sum = std::min(sum + std::exchange(of_package, 0), kMost);
            is_package = true;
        }
        if (is_package) of_package = std::max(of_package, largest_size(line));
    }
    sum += of_package;
    if (sum == 0) return std::nullopt;
    return sum;
}

std::optional<std::uint64_t> locked_bytes(const Inputs& inputs) {
    if (inputs.kind != InputKind::uv_lock && inputs.kind != InputKind::pylock) return std::nullopt;
    const auto text = file_content(inputs.files.front());
    return text ? locked_bytes(std::string_view(*text)) : std::nullopt;
}

}  // namespace squenv::create
