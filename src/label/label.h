// SPDX-License-Identifier: MIT
// How uenv names images: name/version:tag@system%uarch, where all but the name may be missing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace squenv::label {

/// "" is any. A name may also be the begin of a digest.
struct Label {
    std::string name{};
    std::string version{};
    std::string tag{};
    std::string system{};  ///< "*" is any, whatever the system of this machine is
    std::string uarch{};
    bool operator==(const Label&) const = default;

    /// Whether its name may be meant as the begin of a digest, which is of no system.
    [[nodiscard]] bool may_be_digest() const;
};

/// @ and % come in either order, and the name may be missing when there is no version.
/// Errors: invalid_argument.
[[nodiscard]] Result<Label> parse_label(std::string_view text);
[[nodiscard]] std::string text_of(const Label& label);

/// Hexadecimal digits of a SHA-256.
inline constexpr std::size_t kDigestDigits = 64;
/// Whether `text` can be the begin of a SHA-256: 4 to 64 hexadecimal digits.
[[nodiscard]] bool is_digest_begin(std::string_view text);

}  // namespace squenv::label
