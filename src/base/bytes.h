// SPDX-License-Identifier: MIT
// Views of bytes, and copies of plain structs out of and into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace squenv {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

/// Copies a trivially copyable T out of the front of `bytes`, which must be long enough.
template <class T>
[[nodiscard]] T load(ByteView bytes) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

inline void append(ByteVector& out, ByteView bytes) {
    const std::size_t old_size = out.size();
    out.resize(old_size + bytes.size());
    if (!bytes.empty()) std::memcpy(out.data() + old_size, bytes.data(), bytes.size());
}

/// Appends the bytes of a trivially copyable T.
template <class T>
requires std::is_trivially_copyable_v<T> &&
    (!std::is_convertible_v<T, ByteView>)void append(ByteVector& out, const T& value) {
    append(out, std::as_bytes(std::span(&value, 1)));
}

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace squenv
