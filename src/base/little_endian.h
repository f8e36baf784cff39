// SPDX-License-Identifier: MIT
// Little-endian integers as byte arrays: alignment 1, any host order, compiled to one load.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace squenv {

template <class T>
class Le {
    static_assert(std::is_unsigned_v<T> || std::is_signed_v<T>);
    using Unsigned = std::make_unsigned_t<T>;

  public:
    Le() = default;
    Le(T value) {  // NOLINT: implicit on purpose, raw structs are filled by assignment
        auto bits = static_cast<Unsigned>(value);
        for (auto& byte : bytes_) {
            byte = static_cast<std::uint8_t>(bits & 0xff);
            if constexpr (sizeof(T) > 1) bits = static_cast<Unsigned>(bits >> 8);
        }
    }
    [[nodiscard]] T get() const {
        Unsigned bits = 0;
        for (std::size_t i = sizeof(T); i-- > 0;) {
            if constexpr (sizeof(T) > 1) bits = static_cast<Unsigned>(bits << 8);
            bits = static_cast<Unsigned>(bits | bytes_[i]);
        }
        return static_cast<T>(bits);
    }
    operator T() const { return get(); }  // NOLINT: reads like the integer it holds

  private:
    std::array<std::uint8_t, sizeof(T)> bytes_;
};

using Le16 = Le<std::uint16_t>;
using LeS16 = Le<std::int16_t>;
using Le32 = Le<std::uint32_t>;
using Le64 = Le<std::uint64_t>;
static_assert(sizeof(Le16) == 2 && alignof(Le64) == 1 && std::is_trivially_copyable_v<Le64>);

}  // namespace squenv
