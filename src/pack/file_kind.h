// SPDX-License-Identifier: MIT
// What a file of a Python environment is, by its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace squenv::pack {

/// In the order in which an image stores them (order.h).
enum class FileKind : std::uint8_t { compiled_module, shared_object, source, other };
inline constexpr std::size_t kFileKinds = 4;

/// From the last dot on; empty without one, and for a name that begins with its only dot.
[[nodiscard]] std::string_view extension_of(std::string_view name);
[[nodiscard]] FileKind kind_of(std::string_view name);

}  // namespace squenv::pack
