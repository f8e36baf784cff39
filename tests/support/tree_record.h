// SPDX-License-Identifier: MIT
// What two trees are compared by: one line per object, the same from a mounted tree and from an
// image read without a mount. Not a checksum format; only tests read it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace squenv::test {

/// 64 bits over any number of bytes; the same however the bytes are cut into pieces.
class ContentHash {
  public:
    void add(const char* bytes, std::size_t size) {
        size_ += size;
        while (size > 0) {
            if (used_ == 0 && size >= sizeof word_) {
                std::memcpy(&word_, bytes, sizeof word_);
                bytes += sizeof word_;
                size -= sizeof word_;
                mix();
                continue;
            }
            reinterpret_cast<char*>(&word_)[used_++] = *bytes++;
            --size;
            if (used_ == sizeof word_) {
                mix();
                used_ = 0;
            }
        }
    }
    [[nodiscard]] std::uint64_t value() {
        if (used_ > 0) mix();
        word_ = size_;
        mix();
        return hash_;
    }

  private:
    void mix() {
        hash_ = (hash_ ^ word_) * 0x9e3779b97f4a7c15ULL;
        hash_ ^= hash_ >> 29;
        word_ = 0;
    }

    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
    std::uint64_t word_ = 0;
    std::uint64_t size_ = 0;
    std::size_t used_ = 0;
};

/// One object of a tree.
struct Record {
    std::string path;  ///< relative, "." is the top
    std::uint32_t mode = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::uint64_t nlink = 0;
    std::uint64_t size = 0;
    std::int64_t mtime = 0;
    std::uint64_t device = 0;
    std::uint64_t hash = 0;
    std::string target;
    std::map<std::string, std::string> xattrs;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> data;  ///< extents that are not holes
    std::pair<std::uint64_t, std::uint64_t> identity;           ///< equal for names of one inode
    std::string error;
};

inline std::string quote(std::string_view text) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string quoted;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > ' ' && byte < 0x7f && c != '\\') {
            quoted += c;
        } else {
            quoted += "\\x";
            quoted += kDigits[byte >> 4];
            quoted += kDigits[byte & 15];
        }
    }
    return quoted;
}

inline std::string describe(const Record& record, const std::string& first_name) {
    const char* type = S_ISREG(record.mode)    ? "file"
                       : S_ISDIR(record.mode)  ? "directory"
                       : S_ISLNK(record.mode)  ? "symlink"
                       : S_ISBLK(record.mode)  ? "block"
                       : S_ISCHR(record.mode)  ? "char"
                       : S_ISFIFO(record.mode) ? "fifo"
                                               : "socket";
    char text[512];
    std::snprintf(
        text, sizeof text, "%s\ttype=%s\tmode=%04o\tuid=%llu\tgid=%llu\tnlink=%llu\tmtime=%lld", "",
        type, record.mode & 07777U, static_cast<unsigned long long>(record.uid),
        static_cast<unsigned long long>(record.gid), static_cast<unsigned long long>(record.nlink),
        static_cast<long long>(record.mtime));
    std::string line = quote(record.path) + text;
    if (S_ISREG(record.mode)) {
        std::snprintf(text, sizeof text, "\tsize=%llu\thash=%016llx",
                      static_cast<unsigned long long>(record.size),
                      static_cast<unsigned long long>(record.hash));
        line += text;
        line += "\tdata=";
        for (const auto& [start, end] : record.data)
            line += std::to_string(start) + "-" + std::to_string(end) + ",";
    }
    if (S_ISLNK(record.mode)) line += "\ttarget=" + quote(record.target);
    if (S_ISBLK(record.mode) || S_ISCHR(record.mode))
        line += "\trdev=" + std::to_string(record.device);
    if (!first_name.empty()) line += "\tlink=" + quote(first_name);
    for (const auto& [name, value] : record.xattrs)
        line += "\txattr:" + quote(name) + "=" + quote(value);
    if (!record.error.empty()) line += "\terror=" + quote(record.error);
    return line;
}

/// One line each; names of one inode are marked with the first of them.
inline void print(const std::vector<Record>& records) {
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<const Record*>> groups;
    for (const auto& record : records)
        if (!S_ISDIR(record.mode) && record.nlink > 1) groups[record.identity].push_back(&record);
    for (const auto& record : records) {
        std::string first;
        const auto group = groups.find(record.identity);
        if (!S_ISDIR(record.mode) && group != groups.end() && group->second.size() > 1) {
            first = group->second.front()->path;
            for (const Record* other : group->second)
                if (other->path < first) first = other->path;
        }
        std::puts(describe(record, first).c_str());
    }
}

}  // namespace squenv::test
