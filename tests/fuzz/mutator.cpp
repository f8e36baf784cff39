// SPDX-License-Identifier: MIT
#include "mutator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace squenv::fuzz {

namespace {

/// An input that grows without end takes time and finds nothing more.
constexpr std::size_t kMostBytes = 1U << 20;
/// Of what is erased or inserted at once: longer than a name, shorter than a block.
constexpr std::size_t kMostPiece = 64;

/// What the text formats give a meaning, and what ends words, lines and strings.
constexpr std::string_view kBytes("\0\x01\x7f\x80\xff \t\n\\/.,:#-=\"{[", 19);

/// Around the bounds of the types that numbers are read into.
constexpr std::array<std::string_view, 9> kNumbers{"",
                                                   "0",
                                                   "-1",
                                                   "00",
                                                   "4294967295",
                                                   "4294967296",
                                                   "9223372036854775807",
                                                   "18446744073709551615",
                                                   "18446744073709551616"};

}  // namespace

std::size_t Mutator::below(std::size_t end) {
    return end == 0 ? 0 : static_cast<std::size_t>(random_() % end);
}

/// Numbers that break things more often than random ones do.
std::uint64_t Mutator::nasty(std::uint64_t old) {
    switch (below(8)) {
        case 0: return 0;
        case 1: return ~std::uint64_t{0};
        case 2: return std::uint64_t{1} << below(64);
        case 3: return (std::uint64_t{1} << below(64)) - 1;
        case 4: return old + 1;
        case 5: return old - 1;
        case 6: return old * 2;
        default: return random_();
    }
}

Mutator::Range Mutator::part_of(const ByteVector& bytes) {
    const std::size_t begin = below(bytes.size());
    const std::size_t size = std::min(bytes.size() - begin, 1 + below(kMostPiece));
    return {static_cast<std::ptrdiff_t>(begin), static_cast<std::ptrdiff_t>(begin + size)};
}

void Mutator::flip_bit(ByteVector& bytes) {
    if (bytes.empty()) return;
    bytes[below(bytes.size())] ^= std::byte{1} << below(8);
}

void Mutator::set_byte(ByteVector& bytes) {
    if (bytes.empty()) return;
    bytes[below(bytes.size())] = static_cast<std::byte>(kBytes[below(kBytes.size())]);
}

/// Eight, four, two bytes or one, as the binary formats write numbers.
void Mutator::set_number(ByteVector& bytes) {
    const std::size_t size = std::size_t{1} << below(4);
    if (bytes.size() < size) return;
    std::byte* const place = bytes.data() + below(bytes.size() - size + 1);
    std::uint64_t value = 0;
    std::memcpy(&value, place, size);
    value = nasty(value);
    std::memcpy(place, &value, size);
}

/// A run of decimal digits, as the text formats write numbers.
void Mutator::set_digits(ByteVector& bytes) {
    const auto is_digit = [](std::byte byte) {
        return byte >= std::byte{'0'} && byte <= std::byte{'9'};
    };
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size()));
    const auto begin = std::find_if(from, bytes.end(), is_digit);
    const auto end = std::find_if_not(begin, bytes.end(), is_digit);
    const ByteView number = as_bytes(kNumbers[below(kNumbers.size())]);
    const auto place = bytes.erase(begin, end);
    bytes.insert(place, number.begin(), number.end());
}

void Mutator::erase(ByteVector& bytes) {
    const Range part = part_of(bytes);
    bytes.erase(bytes.begin() + part.begin, bytes.begin() + part.end);
}

void Mutator::insert(ByteVector& bytes, ByteVector piece) {
    if (bytes.size() + piece.size() > kMostBytes) return;
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
    bytes.insert(place, piece.begin(), piece.end());
}

void Mutator::change(ByteVector& bytes, const ByteVector& other) {
    const auto copy_of = [this](const ByteVector& from) {
        const Range part = part_of(from);
        return ByteVector(from.begin() + part.begin, from.begin() + part.end);
    };
    switch (below(8)) {
        case 0: return flip_bit(bytes);
        case 1: return set_byte(bytes);
        case 2: return set_number(bytes);
        case 3: return set_digits(bytes);
        case 4: return erase(bytes);
        case 5: return insert(bytes, copy_of(bytes));
        case 6: return insert(bytes, copy_of(other));
        default: return bytes.resize(below(bytes.size() + 1));
    }
}

ByteVector Mutator::next(const std::vector<ByteVector>& inputs) {
    ByteVector bytes = inputs[below(inputs.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
        const ByteVector& other = inputs[below(inputs.size())];
        change(bytes, other);
    }
    return bytes;
}

}  // namespace squenv::fuzz
