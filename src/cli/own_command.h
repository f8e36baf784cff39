// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace squenv::cli {

/// The words of this process, as a shell takes them: "squenv pack -o 'my env' tree". Empty when
/// they cannot be told. Without the passwords of URLs.
[[nodiscard]] std::string own_command();

}  // namespace squenv::cli
