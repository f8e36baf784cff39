// SPDX-License-Identifier: MIT
#include "appendix/hot_list.h"

#include <algorithm>

#include "appendix/number.h"
#include "format/bounds.h"

namespace squenv::appendix {

namespace {

tl::unexpected<Error> damaged() {
    return fail(Errc::corrupt, "appendix: damaged list of hot files");
}

Result<std::string> take_path(ByteView& bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    if (end == bytes.end() || end == bytes.begin()) return damaged();
    const auto size = static_cast<std::size_t>(end - bytes.begin());
    std::string path(as_text(bytes.first(size)));
    bytes = bytes.subspan(size + 1);
    return path;
}

/// Bounded by what a file can have, so that no sum of what is read here overflows.
Result<HotItem> take_range(ByteView& bytes) {
    HotItem item;
    SQUENV_TRY_ASSIGN(item.reference, take_number(bytes));
    SQUENV_TRY_ASSIGN(item.offset, take_number(bytes));
    SQUENV_TRY_ASSIGN(item.size_bytes, take_number(bytes));
    constexpr std::uint64_t kMaxReference = (std::uint64_t{1} << 48) - 1;
    if (item.reference > kMaxReference || item.offset > format::kMaxFileSize ||
        item.size_bytes > format::kMaxFileSize - item.offset || item.size_bytes == 0)
        return damaged();
    return item;
}

}  // namespace

ByteVector encode_hot_list(const std::vector<HotItem>& items) {
    ByteVector out;
    for (const HotItem& item : items) {
        out.push_back(static_cast<std::byte>(item.kind));
        if (item.kind == HotItem::Kind::range) {
            append_number(out, item.reference);
            append_number(out, item.offset);
            append_number(out, item.size_bytes);
        } else {
            append(out, as_bytes(item.path));
            out.push_back(std::byte{0});
        }
    }
    return out;
}

Result<std::vector<HotItem>> parse_hot_list(ByteView bytes) {
    std::vector<HotItem> items;
    while (!bytes.empty()) {
        const auto kind = static_cast<HotItem::Kind>(bytes[0]);
        bytes = bytes.subspan(1);
        HotItem item;
        switch (kind) {
            case HotItem::Kind::range: {
                SQUENV_TRY_ASSIGN(item, take_range(bytes));
                break;
            }
            case HotItem::Kind::directory:
            case HotItem::Kind::missing: {
                SQUENV_TRY_ASSIGN(item.path, take_path(bytes));
                break;
            }
            default: return damaged();
        }
        item.kind = kind;
        items.push_back(std::move(item));
    }
    return items;
}

}  // namespace squenv::appendix
