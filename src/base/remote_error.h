// SPDX-License-Identifier: MIT
// An Error on its way from one process to another.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace squenv {

/// No longer than PIPE_BUF: a pipe takes it whole, and a message of base/socket_message.h holds it.
inline constexpr std::size_t kMaxRemoteError = 4096;

/// At most kMaxRemoteError bytes, for a process of this machine and of this version. A context or a
/// hint that is too long loses its end.
[[nodiscard]] std::string encode_error(const Error& error);

/// What encode_error() was given; nothing for other bytes.
[[nodiscard]] std::optional<Error> decode_error(std::string_view bytes);

}  // namespace squenv
