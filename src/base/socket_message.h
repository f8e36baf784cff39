// SPDX-License-Identifier: MIT
// Short messages between processes of this machine, which may carry descriptors.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv {

/// A received message. Empty bytes mean that the other side closed the connection.
struct SocketMessage {
    std::string bytes{};
    std::vector<UniqueFd> descriptors{};
};

/// Descriptors that one message may carry; the kernel's limit is 253.
inline constexpr std::size_t kMaxMessageDescriptors = 64;
inline constexpr std::size_t kMaxMessageBytes = 4096;

/// Sends `bytes` (1 to kMaxMessageBytes) and copies of `descriptors`. Never raises SIGPIPE.
/// Errors: io (the other side is gone).
[[nodiscard]] Status send_message(int socket, std::string_view bytes,
                                  std::span<const int> descriptors = {});

/// Waits for a message, unless the socket does not block. Descriptors arrive with O_CLOEXEC.
/// Errors: io, busy (nothing there on a socket that does not block).
[[nodiscard]] Result<SocketMessage> receive_message(int socket);

}  // namespace squenv
