// SPDX-License-Identifier: MIT
#include "daemon/door.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/socket_message.h"
#include "mount/connection.h"
#include "mount/live_statistics.h"
#include "system/named_socket.h"

namespace squenv::daemon {

namespace {

/// Processes that connect and say nothing: the oldest ones make room.
constexpr std::size_t kMaxWaiting = 16;

bool is_question(const SocketMessage& message) {
    if (message.bytes.size() != 1) return false;
    const bool has_program = message.descriptors.size() == 1;
    return message.bytes[0] == kAskUpgrade ? has_program
                                           : message.bytes[0] == mount::kAskStatistics;
}

}  // namespace

Result<Door> Door::open(std::uint32_t device_minor) {
    const std::string name = mount::daemon_name(device_minor, ::geteuid());
    SQUENV_TRY_ASSIGN(auto listener, system::claim_name(name));
    if (!listener) return fail(Errc::busy, "another process listens in its place");
    ::fcntl(listener->get(), F_SETFL, O_NONBLOCK);
    return Door(std::move(*listener));
}

void Door::add_sources(std::vector<EventSource>& sources,
                       const std::function<void(Visit)>& on_visit) {
    sources.push_back({listener_.get(), [this] { accept(); }});
    for (const auto& connection : waiting_)
        sources.push_back({connection.get(), [this, number = connection.get(), on_visit] {
                               receive(number, on_visit);
                           }});
}

void Door::accept() {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) return;
    const auto uid = system::peer_uid(connection.get());
    if (!uid || *uid != ::geteuid()) return;
    if (waiting_.size() == kMaxWaiting) waiting_.erase(waiting_.begin());
    waiting_.push_back(std::move(connection));
}

void Door::receive(int connection, const std::function<void(Visit)>& on_visit) {
    const auto found =
        std::find_if(waiting_.begin(), waiting_.end(),
                     [connection](const UniqueFd& fd) { return fd.get() == connection; });
    if (found == waiting_.end()) return;
    auto message = receive_message(connection);
    if (!message && message.error().code == Errc::busy) return;
    Visit visit{std::move(*found), {}};
    waiting_.erase(found);
    if (!message || !is_question(*message)) return;
    if (message->bytes[0] == kAskUpgrade) visit.program = std::move(message->descriptors.front());
    on_visit(std::move(visit));
}

}  // namespace squenv::daemon
