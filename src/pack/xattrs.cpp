// SPDX-License-Identifier: MIT
#include "pack/xattrs.h"

#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "format/bounds.h"
#include "format/tables.h"

namespace squenv::pack {

namespace {

std::string serialise(const XattrSet& set) {
    std::string key;
    for (const XattrPair& pair : set) {
        key += static_cast<char>('0' + pair.prefix_id);
        key += std::to_string(pair.name.size()) + ':' + pair.name;
        key += std::to_string(pair.value.size()) + ':' + pair.value;
    }
    return key;
}

std::optional<std::uint16_t> prefix_of(std::string_view name) {
    for (std::uint16_t id = 0; const auto prefix = format::xattr_prefix(id); ++id)
        if (name.starts_with(*prefix) && name.size() > prefix->size()) return id;
    return std::nullopt;
}

/// All names, each ended by NUL. Empty when there are none or the file system has no xattrs.
std::string list_names(const std::string& path) {
    std::array<char, 1024> first;
    const ssize_t size = ::llistxattr(path.c_str(), first.data(), first.size());
    if (size >= 0) return {first.data(), static_cast<std::size_t>(size)};
    if (errno != ERANGE) return {};
    std::string names(format::kMaxXattrList, '\0');
    const ssize_t all = ::llistxattr(path.c_str(), names.data(), names.size());
    names.resize(all < 0 ? 0 : static_cast<std::size_t>(all));
    return names;
}

std::optional<std::string> get_value(const std::string& path, const std::string& name) {
    std::string value(256, '\0');
    ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ERANGE) {
        value.resize(format::kMaxXattrValue);
        size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    }
    if (size < 0) return std::nullopt;
    value.resize(static_cast<std::size_t>(size));
    return value;
}

}  // namespace

std::uint32_t XattrSets::intern(XattrSet set) {
    std::string key = serialise(set);
    std::lock_guard lock(*mutex_);
    const auto [place, is_new] =
        index_.emplace(std::move(key), static_cast<std::uint32_t>(sets_.size()));
    if (is_new) sets_.push_back(std::make_unique<XattrSet>(std::move(set)));
    return place->second;
}

void XattrSets::lose(const std::string& name) {
    std::lock_guard lock(*mutex_);
    if (lost_.count == 0 || name < lost_.example) lost_.example = name;
    ++lost_.count;
}

void add_xattr(XattrSet& set, XattrSets& sets, const std::string& name,
               std::optional<std::string> value) {
    if (name == "security.selinux") return;
    const auto prefix = prefix_of(name);
    if (!prefix || !value || value->size() > format::kMaxXattrValue)
        sets.lose(name);
    else
        set.push_back(
            {*prefix, name.substr(format::xattr_prefix(*prefix)->size()), std::move(*value)});
}

XattrSet read_xattrs(const std::string& path, XattrSets& sets) {
    XattrSet set;
    const std::string names = list_names(path);
    for (std::string_view rest = names; !rest.empty();) {
        const std::string name(rest.substr(0, rest.find('\0')));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        add_xattr(set, sets, name, get_value(path, name));
    }
    std::sort(set.begin(), set.end());
    return set;
}

}  // namespace squenv::pack
