// SPDX-License-Identifier: MIT
// How much room the making of an environment takes, before it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "create/inputs.h"

namespace squenv::create {

/// What is known of the size of an environment.
struct KnownSizes {
    std::optional<std::uint64_t> replaced{};  ///< bytes of the tree of the image it will replace
    bool has_same_inputs = false;             ///< that image was made from the same inputs
    std::optional<std::uint64_t> locked{};    ///< bytes of the packages that a lock names, packed
};

/// The need of an environment of which nothing is known: as large as those that are common, with a
/// GPU library.
inline constexpr std::uint64_t kUsualRoom = 8ULL << 30;

/// Bytes, with those of the temporary files of the tools. The tree of an image that was made from
/// the same inputs tells best, then a lock. Else at least as much as kUsualRoom, and as the image
/// that is replaced.
[[nodiscard]] std::uint64_t needed_room(const KnownSizes& sizes);

/// The bytes of the packages in the text of a uv.lock or pylock.toml: of each package the largest
/// file, since one is chosen. Nothing when it names no sizes.
[[nodiscard]] std::optional<std::uint64_t> locked_bytes(std::string_view lock);

/// As locked_bytes(), of the lock that `inputs` have, if it can be read.
[[nodiscard]] std::optional<std::uint64_t> locked_bytes(const Inputs& inputs);

}  // namespace squenv::create
