// SPDX-License-Identifier: MIT
// image_digest IMAGE [OFFSET|auto]: prints what IMAGE holds, as tree_record.h has it, read with
// the installed library and no mount.
#include <squenv/image.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdlib>

#include "tree_record.h"

using squenv::Expected;
using squenv::FileType;
using squenv::Image;
using squenv::Stat;
using squenv::test::ContentHash;
using squenv::test::Record;

namespace {

std::uint32_t type_bits(FileType type) {
    switch (type) {
        case FileType::directory: return S_IFDIR;
        case FileType::file: return S_IFREG;
        case FileType::symlink: return S_IFLNK;
        case FileType::block_device: return S_IFBLK;
        case FileType::char_device: return S_IFCHR;
        case FileType::fifo: return S_IFIFO;
        case FileType::socket: return S_IFSOCK;
    }
    return 0;
}

Expected<void> read_content(const Image& image, const Stat& stat, Record& record) {
    static std::array<std::byte, 100'003> buffer;  // never a multiple of a block
    ContentHash hash;
    for (std::uint64_t offset = 0;;) {
        const auto count = image.read(stat.id, offset, buffer);
        if (!count) return count.error();
        if (*count == 0) break;
        hash.add(reinterpret_cast<const char*>(buffer.data()), *count);
        offset += *count;
    }
    record.hash = hash.value();
    for (std::uint64_t at = 0; at < stat.size_bytes;) {
        const auto start = image.next_data(stat.id, at);
        if (!start) return start.error();
        if (!*start) break;
        const auto end = image.next_hole(stat.id, **start);
        if (!end) return end.error();
        if (!*end) break;
        record.data.emplace_back(**start, **end);
        at = **end;
    }
    return {};
}

Expected<void> fill(const Image& image, const Stat& stat, Record& record) {
    record.mode = type_bits(stat.type) | stat.permissions;
    record.uid = stat.uid;
    record.gid = stat.gid;
    record.nlink = stat.link_count;
    record.size = stat.size_bytes;
    record.mtime = stat.mtime;
    record.device = makedev(stat.device_major, stat.device_minor);
    record.identity = {0, stat.id.value};
    const auto names = image.xattr_names(stat.id);
    if (!names) return names.error();
    for (const auto& name : *names) {
        auto value = image.xattr(stat.id, name);
        if (!value) return value.error();
        if (*value) record.xattrs[name] = **value;
    }
    if (stat.type == FileType::symlink) {
        const auto target = image.read_link(stat.id);
        if (!target) return target.error();
        record.target = *target;
    }
    return stat.type == FileType::file ? read_content(image, stat, record) : Expected<void>();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    squenv::ImageOptions options;
    const std::string offset = argc > 2 ? argv[2] : "0";
    options.finds_offset = offset == "auto";
    if (!options.finds_offset) options.offset = std::strtoull(offset.c_str(), nullptr, 10);
    const auto image = Image::open(argv[1], options);
    if (!image) {
        std::fprintf(stderr, "%s\n", image.error().message().c_str());
        return 1;
    }
    std::vector<Record> records;
    squenv::WalkVisitor visitor;
    visitor.visit = [&](const std::string& path, const Stat& stat) {
        Record record;
        record.path = path.empty() ? "." : path;
        if (const auto filled = fill(*image, stat, record); !filled)
            record.error = filled.error().message();
        records.push_back(record);
        return true;
    };
    visitor.failed = [&](const std::string& path, const squenv::Error& error) {
        Record record;
        record.path = path.empty() ? "." : path;
        record.error = error.message();
        records.push_back(record);
        return true;
    };
    if (!image->walk(image->root(), visitor)) return 1;
    squenv::test::print(records);
    return 0;
}
