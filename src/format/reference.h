// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>

namespace squenv::format {

/// The place of a record in a chain of metadata blocks. It consists of the position of the block's
/// header relative to the start of its table, and the offset in the block's uncompressed bytes.
struct Reference {
    std::uint64_t block = 0;   ///< bytes from the table start, below 2^48
    std::uint16_t offset = 0;  ///< 0..8191 in a valid image

    [[nodiscard]] static constexpr Reference from_raw(std::uint64_t raw) {
        return {raw >> 16, static_cast<std::uint16_t>(raw & 0xFFFF)};
    }
    [[nodiscard]] constexpr std::uint64_t raw() const { return block << 16 | offset; }
    auto operator<=>(const Reference&) const = default;
};

}  // namespace squenv::format
