// SPDX-License-Identifier: MIT
// What a server that is another program gets from its daemon, in one message: descriptors, and a
// description of the mount.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/socket_message.h"
#include "daemon/death_watch.h"
#include "daemon/opened.h"
#include "daemon/request.h"
#include "daemon/request_files.h"
#include "daemon/server.h"
#include "daemon/server_process.h"

namespace squenv::daemon {

/// The form of the message. It is raised with each change that the other side must know of.
inline constexpr std::uint32_t kHandoverForm = 1;

/// Sends a mount with its connection to a program that has just been executed. Errors: unsupported
/// (the system has no memory that can be passed on), limit, io.
[[nodiscard]] Status send_handover(ServerProcess& program, const Request& request,
                                   const RequestFiles& files, const Opened& opened,
                                   const ServerMemory& memory);

/// The other side: the mount as it was sent, whose image is not open yet.
struct Handover {
    std::uint32_t number = 0;  ///< of the server
    Request request{};
    RequestFiles files{};
    Opened opened{};
    ServerMemory memory{};
    UniqueFd notice{};  ///< the socket of Request::recording_notice, if there is one
};

/// The first part, so that the sender learns of what is wrong with the rest. Errors: unsupported
/// (of a version that keeps what servers share differently).
[[nodiscard]] Result<DeathWatch> take_death_watch(SocketMessage& message);
/// The rest. Errors: as before; invalid_argument (the image is another one by now), io, limit.
[[nodiscard]] Result<Handover> take_handover(SocketMessage& message);

}  // namespace squenv::daemon
