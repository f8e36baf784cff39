// SPDX-License-Identifier: MIT
#include "image/xattrs.h"

#include <fmt/core.h>

#include <array>
#include <unordered_set>

#include "base/little_endian.h"
#include "format/tables.h"

namespace squenv::image {

namespace {

/// The length word of a value, bounded before anything is allocated for it.
Result<std::uint32_t> read_length(MetadataCursor& cursor) {
    Le32 raw;
    SQUENV_TRY(cursor.read(std::as_writable_bytes(std::span(&raw, 1))));
    if (raw > format::kMaxXattrValue)
        return fail(Errc::corrupt, fmt::format("xattr value of {} bytes", raw.get()));
    return raw.get();
}

Result<ByteVector> read_bytes(MetadataCursor& cursor, std::uint32_t size) {
    ByteVector bytes(size);
    SQUENV_TRY(cursor.read(bytes));
    return bytes;
}

}  // namespace

Result<ByteVector> Xattrs::read_value(MetadataCursor& cursor, bool is_out_of_line) const {
    SQUENV_TRY_ASSIGN(const std::uint32_t size, read_length(cursor));
    if (!is_out_of_line) return read_bytes(cursor, size);
    if (size != sizeof(Le64))
        return fail(Errc::corrupt, fmt::format("xattr value reference of {} bytes", size));
    Le64 raw;
    SQUENV_TRY(cursor.read(std::as_writable_bytes(std::span(&raw, 1))));
    MetadataCursor elsewhere(*store_, pairs_);
    SQUENV_TRY(elsewhere.seek(format::Reference::from_raw(raw)));
    SQUENV_TRY_ASSIGN(const std::uint32_t real_size, read_length(elsewhere));
    return read_bytes(elsewhere, real_size);
}

Status Xattrs::walk(const Inode& inode, const Wanted& wanted, const Visitor& visitor) const {
    if (sets_ == nullptr || inode.xattr_index == format::kNoXattr) return {};
    std::array<std::byte, format::kXattrIdRecordSize> raw_set;
    SQUENV_TRY(sets_->record(inode.xattr_index, raw_set));
    const auto set = format::parse_xattr_set(raw_set);
    if (set.pair_count == 0) return {};
    MetadataCursor cursor(*store_, pairs_);
    SQUENV_TRY(cursor.seek(set.pairs));
    std::size_t list_bytes = 0;
    for (std::uint32_t i = 0; i < set.pair_count; ++i) {
        std::array<std::byte, format::kXattrKeySize> raw_key;
        SQUENV_TRY(cursor.read(raw_key));
        const auto key = format::parse_xattr_key(raw_key);
        // The kernel stops at the same sum of names; a larger count cannot be true.
        list_bytes += key.name_size + 1U;
        if (list_bytes > format::kMaxXattrList)
            return fail(Errc::corrupt, "more xattr names than an object can have");
        SQUENV_TRY_ASSIGN(const auto name, read_bytes(cursor, key.name_size));
        const auto prefix = format::xattr_prefix(key.prefix_id);
        const std::string full_name = prefix ? *prefix + std::string(as_text(name)) : "";
        if (prefix && wanted(full_name)) {
            SQUENV_TRY_ASSIGN(const auto value, read_value(cursor, key.is_out_of_line));
            if (!visitor(full_name, value)) return {};
            continue;
        }
        SQUENV_TRY_ASSIGN(const std::uint32_t size, read_length(cursor));
        SQUENV_TRY(cursor.skip(size));
    }
    return {};
}

Result<std::vector<std::string>> Xattrs::names(const Inode& inode) const {
    std::vector<std::string> names;
    const auto remember = [&](const std::string& name) {
        names.push_back(name);
        return false;
    };
    if (auto walked = walk(inode, remember, nullptr); !walked)
        return with_context(walked.error(), fmt::format("xattrs of inode {}", inode.number));
    return names;
}

Result<std::optional<ByteVector>> Xattrs::value(const Inode& inode, const std::string& name) const {
    std::optional<ByteVector> found;
    const auto is_name = [&](const std::string& candidate) { return candidate == name; };
    const auto keep = [&](const std::string&, const ByteVector& value) {
        found = value;
        return false;
    };
    if (auto walked = walk(inode, is_name, keep); !walked)
        return with_context(walked.error(), fmt::format("xattrs of inode {}", inode.number));
    return found;
}

Status Xattrs::visit(const Inode& inode, const Visitor& visitor) const {
    std::unordered_set<std::string> seen;
    const auto is_new = [&](const std::string& name) { return seen.insert(name).second; };
    if (auto walked = walk(inode, is_new, visitor); !walked)
        return with_context(walked.error(), fmt::format("xattrs of inode {}", inode.number));
    return {};
}

}  // namespace squenv::image
