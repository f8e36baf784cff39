// SPDX-License-Identifier: MIT
// image_digest IMAGE [OFFSET|auto]: prints what IMAGE holds, as tree_record.h has it, read with
// our own library and no mount.
#include <cstdlib>

#include "format/posix.h"
#include "image/walk.h"
#include "tree_record.h"

using squenv::Result;
using squenv::Status;
using squenv::image::Image;
using squenv::image::Inode;
using squenv::test::ContentHash;
using squenv::test::Record;

namespace {

Status read_content(const Image& image, const Inode& inode, Record& record) {
    constexpr std::uint64_t kStep = 100'003;  // never a multiple of a block
    ContentHash hash;
    for (std::uint64_t offset = 0; offset < inode.size_bytes; offset += kStep) {
        SQUENV_TRY_ASSIGN(const auto slices, image.data().read(inode, offset, kStep));
        for (const auto& slice : slices)
            hash.add(reinterpret_cast<const char*>(slice.bytes.data()), slice.bytes.size());
    }
    record.hash = hash.value();
    using Seek = squenv::image::FileData::Seek;
    for (std::uint64_t at = 0; at < inode.size_bytes;) {
        SQUENV_TRY_ASSIGN(const auto start, image.data().seek(inode, at, Seek::data));
        if (!start) break;
        SQUENV_TRY_ASSIGN(const auto end, image.data().seek(inode, *start, Seek::hole));
        if (!end) break;
        record.data.emplace_back(*start, *end);
        at = *end;
    }
    return {};
}

Status fill(const Image& image, const Inode& inode, Record& record) {
    record.mode = squenv::format::type_bits(inode.type) | inode.mode;
    record.uid = inode.uid;
    record.gid = inode.gid;
    record.nlink = inode.nlink;
    record.size = inode.size_bytes;
    record.mtime = inode.mtime;
    record.device = squenv::format::decode_device(inode.device);
    record.identity = {0, inode.reference.raw()};
    SQUENV_TRY_ASSIGN(const auto names, image.xattrs().names(inode));
    for (const auto& name : names) {
        SQUENV_TRY_ASSIGN(const auto value, image.xattrs().value(inode, name));
        if (value)
            record.xattrs[name].assign(reinterpret_cast<const char*>(value->data()),
                                       value->size());
    }
    if (inode.is_symlink()) {
        SQUENV_TRY_ASSIGN(record.target, image.read_link(inode));
    }
    if (inode.is_file()) SQUENV_TRY(read_content(image, inode, record));
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    squenv::image::OpenOptions options;
    const std::string offset = argc > 2 ? argv[2] : "0";
    options.find_offset = offset == "auto";
    if (!options.find_offset) options.offset = std::strtoull(offset.c_str(), nullptr, 10);
    const auto image = Image::open(argv[1], options);
    if (!image) {
        std::fprintf(stderr, "%s\n", image.error().message().c_str());
        return 1;
    }
    std::vector<Record> records;
    squenv::image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const Inode& inode) {
        Record record;
        record.path = path.empty() ? "." : path;
        if (const auto status = fill(**image, inode, record); !status)
            record.error = status.error().message();
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
    squenv::image::walk(**image, (*image)->root(), visitor);
    squenv::test::print(records);
    return 0;
}
