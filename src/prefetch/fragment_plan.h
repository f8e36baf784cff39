// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace squenv::prefetch {

/// How many fragment blocks are decoded ahead of small files that are read in the order in which
/// they are stored. Fragment blocks are known by their index. Pure; not thread-safe.
class FragmentPlan {
  public:
    /// A small file in `fragment`, which had to be decoded for it, was answered. Returns how many
    /// fragment blocks after it are worth decoding: 0, then 1, 3, 7 and 8 when fragments follow
    /// each other.
    [[nodiscard]] unsigned on_answer(std::uint32_t fragment);
    /// Whether `fragment` is the one to decode next.
    [[nodiscard]] bool is_next(std::uint32_t fragment) const { return fragment == last_ + 1; }
    void on_stored(std::uint32_t fragment) { last_ = fragment; }

  private:
    std::uint32_t last_ = 0;  ///< the last one that was answered from or stored
    unsigned depth_ = 0;
};

}  // namespace squenv::prefetch
