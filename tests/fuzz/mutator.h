// SPDX-License-Identifier: MIT
// Damaged inputs without libFuzzer: less clever, but the same with every compiler.
#pragma once

#include <random>
#include <vector>

#include "base/bytes.h"

namespace squenv::fuzz {

/// The same seed and inputs make the same sequence on every machine. Not thread-safe.
class Mutator {
  public:
    explicit Mutator(std::uint64_t seed) : random_(seed) {}

    /// One of `inputs`, of which there is at least one, with one to four changes.
    [[nodiscard]] ByteVector next(const std::vector<ByteVector>& inputs);

  private:
    struct Range {
        std::ptrdiff_t begin;
        std::ptrdiff_t end;
    };

    /// A number below `end`; 0 when `end` is 0.
    [[nodiscard]] std::size_t below(std::size_t end);
    [[nodiscard]] std::uint64_t nasty(std::uint64_t old);
    [[nodiscard]] Range part_of(const ByteVector& bytes);

    void change(ByteVector& bytes, const ByteVector& other);
    void flip_bit(ByteVector& bytes);
    void set_byte(ByteVector& bytes);
    void set_number(ByteVector& bytes);
    void set_digits(ByteVector& bytes);
    void erase(ByteVector& bytes);
    void insert(ByteVector& bytes, ByteVector piece);

    std::mt19937_64 random_;
};

}  // namespace squenv::fuzz
