// SPDX-License-Identifier: MIT
#include "tar_archive.h"

#include <fmt/core.h>

#include <string_view>

namespace squenv::fuzz {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kChecksumAt = 148;

void put(std::string& block, std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
}

std::string header_of(const TarMember& member) {
    std::string block(kBlock, '\0');
    put(block, 0, member.name);
    put(block, 100, "0000644");
    put(block, 108, "0001750");
    put(block, 116, "0000144");
    put(block, 124, fmt::format("{:011o}", member.content.size()));
    put(block, 136, "07346545000");
    block[156] = member.type;
    put(block, 157, member.link);
    put(block, 257, std::string_view("ustar\00000", 8));
    return block;
}

/// The sum counts its own eight bytes as blanks.
void seal(std::string& block) {
    put(block, kChecksumAt, "        ");
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(block, kChecksumAt, fmt::format("{:06o}", sum));
    block[kChecksumAt + 6] = '\0';
}

std::string padded(std::string text) {
    text.resize((text.size() + kBlock - 1) / kBlock * kBlock);
    return text;
}

/// "LENGTH KEY=VALUE\n", where the length counts itself.
std::string pax_record(const std::string& key, const std::string& value) {
    const std::string rest = ' ' + key + '=' + value + '\n';
    std::size_t size = rest.size() + 1;
    while (std::to_string(size).size() + rest.size() > size) ++size;
    return std::to_string(size) + rest;
}

const std::string& end_mark() {
    static const std::string mark(2 * kBlock, '\0');
    return mark;
}

}  // namespace

std::string tar_archive(const std::vector<TarMember>& members) {
    std::string archive;
    for (const TarMember& member : members) {
        std::string header = header_of(member);
        seal(header);
        archive += header + padded(member.content);
    }
    return archive + end_mark();
}

TarMember pax_header(const std::vector<std::pair<std::string, std::string>>& records) {
    TarMember member{"pax", 'x'};
    for (const auto& [key, value] : records) member.content += pax_record(key, value);
    return member;
}

std::string sparse_archive(const std::string& name, const std::string& content,
                           std::uint64_t offset, std::uint64_t size_bytes) {
    constexpr std::size_t kMapAt = 386;
    constexpr std::size_t kRealSizeAt = 483;
    std::string header = header_of({name, 'S', content});
    put(header, 257, std::string_view("ustar  \0", 8));
    put(header, kMapAt, fmt::format("{:011o}", offset));
    put(header, kMapAt + 12, fmt::format("{:011o}", content.size()));
    put(header, kRealSizeAt, fmt::format("{:011o}", size_bytes));
    seal(header);
    return header + padded(content) + end_mark();
}

}  // namespace squenv::fuzz
