// SPDX-License-Identifier: MIT
// config.toml of uenv 10. Private to this module.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "label/settings.h"

namespace squenv::label {

/// The [[repositories]] and the system_name of `text`; other keys are ignored. `path` is for
/// messages. Errors: corrupt, unsupported (this build does not read TOML).
[[nodiscard]] Result<Settings> parse_toml(std::string_view text, const std::string& path);

}  // namespace squenv::label
