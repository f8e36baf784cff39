// SPDX-License-Identifier: MIT
#include "daemon/upgrade.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/remote_error.h"
#include "base/socket_message.h"
#include "share/rendezvous.h"

namespace squenv::daemon {

namespace {

/// The first byte of a question, which has the descriptor of a program, and of a good answer.
constexpr char kAsk = 'u';
constexpr char kDone = 'd';
/// The new server has half of that to get ready.
constexpr int kPatienceMs = 60'000;
/// Processes that connect and say nothing: the oldest ones make room.
constexpr std::size_t kMaxWaiting = 16;

Result<Upgrade> parse_answer(const SocketMessage& answer) {
    if (answer.bytes.empty())
        return fail(Errc::environment, "the daemon has ended meanwhile",
                    "'squenv stats' shows which version serves");
    if (auto error = decode_error(answer.bytes)) return tl::unexpected(std::move(*error));
    const auto json = nlohmann::json::parse(answer.bytes.substr(1), nullptr, false);
    try {
        return Upgrade{json.at("from"), json.at("to"), json.at("server"), json.at("pause_seconds")};
    } catch (const nlohmann::json::exception&) {
        return fail(Errc::unsupported, "the daemon does not answer properly",
                    "'squenv stats' shows which version serves");
    }
}

}  // namespace

Result<Upgrade> ask_upgrade(std::uint32_t device_minor, int program) {
    SQUENV_TRY_ASSIGN(const auto connection,
                      share::visit_rendezvous(share::mount_name(device_minor)));
    if (!connection) return fail(Errc::not_found, "its daemon takes no upgrade");
    SQUENV_TRY(send_message(connection->get(), {&kAsk, 1}, {&program, 1}));
    pollfd waiting{connection->get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) <= 0)
        return fail(Errc::busy, "its daemon does not answer", "'squenv list' shows its process");
    SQUENV_TRY_ASSIGN(const auto answer, receive_message(connection->get()));
    return parse_answer(answer);
}

Result<UpgradeDoor> UpgradeDoor::open(std::uint32_t device_minor) {
    SQUENV_TRY_ASSIGN(auto listener, share::claim_rendezvous(share::mount_name(device_minor)));
    if (!listener) return fail(Errc::busy, "another process listens in its place");
    ::fcntl(listener->get(), F_SETFL, O_NONBLOCK);
    return UpgradeDoor(std::move(*listener));
}

void UpgradeDoor::add_sources(std::vector<EventSource>& sources,
                              const std::function<void(Visit)>& on_visit) {
    sources.push_back({listener_.get(), [this] { accept(); }});
    for (const auto& connection : waiting_)
        sources.push_back({connection.get(), [this, number = connection.get(), on_visit] {
                               receive(number, on_visit);
                           }});
}

void UpgradeDoor::accept() {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) return;
    const auto uid = share::peer_uid(connection.get());
    if (!uid || *uid != ::geteuid()) return;
    if (waiting_.size() == kMaxWaiting) waiting_.erase(waiting_.begin());
    waiting_.push_back(std::move(connection));
}

void UpgradeDoor::receive(int connection, const std::function<void(Visit)>& on_visit) {
    const auto found =
        std::find_if(waiting_.begin(), waiting_.end(),
                     [connection](const UniqueFd& fd) { return fd.get() == connection; });
    if (found == waiting_.end()) return;
    auto message = receive_message(connection);
    if (!message && message.error().code == Errc::busy) return;
    Visit visit{std::move(*found), {}};
    waiting_.erase(found);
    if (!message || message->bytes != std::string(1, kAsk) || message->descriptors.size() != 1)
        return;
    visit.program = std::move(message->descriptors.front());
    on_visit(std::move(visit));
}

void UpgradeDoor::answer(const Visit& visit, const Upgrade& upgrade) {
    const nlohmann::json json{{"from", upgrade.from},
                              {"to", upgrade.to},
                              {"server", upgrade.server},
                              {"pause_seconds", upgrade.pause_seconds}};
    (void)send_message(visit.connection.get(), kDone + json.dump());
}

void UpgradeDoor::refuse(const Visit& visit, const Error& error) {
    (void)send_message(visit.connection.get(), encode_error(error));
}

}  // namespace squenv::daemon
