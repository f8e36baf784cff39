// SPDX-License-Identifier: MIT
#include "appendix/hot_list.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "appendix/number.h"
#include "format/bounds.h"
#include "format/directory.h"

namespace squenv::appendix {

namespace {

/// PATH_MAX of Linux without the NUL.
constexpr std::size_t kMaxPath = 4095;
/// The kind, a path and its NUL: ranges have less.
constexpr std::size_t kMaxItemBytes = kMaxPath + 2;
constexpr std::size_t kMinItemBytes = 3;

tl::unexpected<Error> damaged() {
    return fail(Errc::corrupt, "appendix: damaged list of hot files");
}

/// Whether `path`, followed from the root of the tree, stays in the tree: it is ".", or names with
/// one slash between each two. The list comes with the image, and what works ahead by it runs as
/// the user.
bool is_beneath_root(std::string_view path) {
    if (path == ".") return true;
    if (path.size() > kMaxPath) return false;
    for (;;) {
        const auto slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        if (name.size() > format::kMaxName || !format::check_name(name)) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

Result<std::string> take_path(ByteView& bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    if (end == bytes.end()) return damaged();
    const auto size = static_cast<std::size_t>(end - bytes.begin());
    std::string path(as_text(bytes.first(size)));
    if (!is_beneath_root(path)) return damaged();
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

Result<HotItem> take_item(ByteView& bytes) {
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
    return item;
}

void append_item(ByteVector& out, const HotItem& item) {
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

}  // namespace

ByteVector encode_hot_list(const std::vector<HotItem>& items) {
    ByteVector out;
    std::size_t count = 0;
    for (const HotItem& item : items) {
        if (item.kind != HotItem::Kind::range && !is_beneath_root(item.path)) continue;
        if (count == kMaxHotItems) break;
        const std::size_t before = out.size();
        append_item(out, item);
        if (out.size() > kMaxHotListBytes) {
            out.resize(before);
            break;
        }
        ++count;
    }
    return out;
}

Result<std::vector<HotItem>> parse_hot_list(ByteView bytes) {
    const bool is_cut = bytes.size() > kMaxHotListBytes;
    if (is_cut) bytes = bytes.first(kMaxHotListBytes);
    std::vector<HotItem> items;
    items.reserve(std::min(kMaxHotItems, bytes.size() / kMinItemBytes));
    while (!bytes.empty() && items.size() < kMaxHotItems) {
        // The last item in front of the cut has perhaps lost its end.
        const bool may_be_cut = is_cut && bytes.size() < kMaxItemBytes;
        auto item = take_item(bytes);
        if (!item && may_be_cut) break;
        if (!item) return tl::unexpected(std::move(item).error());
        items.push_back(std::move(*item));
    }
    return items;
}

}  // namespace squenv::appendix
