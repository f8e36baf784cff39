// SPDX-License-Identifier: MIT
// Passwords that must not get into a file.
#pragma once

#include <string>

namespace squenv {

/// `text` without the names and passwords of URLs: "https://user:secret@host/" becomes
/// "https://***@host/". Images and logs are read by others.
[[nodiscard]] std::string without_secrets(const std::string& text);

}  // namespace squenv
