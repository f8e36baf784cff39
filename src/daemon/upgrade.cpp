// SPDX-License-Identifier: MIT
#include "daemon/upgrade.h"

#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/remote_error.h"
#include "base/socket_message.h"
#include "mount/connection.h"
#include "system/named_socket.h"

namespace squenv::daemon {

namespace {

/// The first byte of a good answer.
constexpr char kDone = 'd';
/// The new server has half of that to get ready.
constexpr int kPatienceMs = 60'000;

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
                      system::visit_name(mount::daemon_name(device_minor, ::geteuid())));
    if (!connection) return fail(Errc::not_found, "its daemon takes no upgrade");
    SQUENV_TRY(send_message(connection->get(), {&kAskUpgrade, 1}, {&program, 1}));
    pollfd waiting{connection->get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) <= 0)
        return fail(Errc::busy, "its daemon does not answer", "'squenv list' shows its process");
    SQUENV_TRY_ASSIGN(const auto answer, receive_message(connection->get()));
    return parse_answer(answer);
}

void answer_upgrade(const Door::Visit& visit, const Upgrade& upgrade) {
    const nlohmann::json json{{"from", upgrade.from},
                              {"to", upgrade.to},
                              {"server", upgrade.server},
                              {"pause_seconds", upgrade.pause_seconds}};
    (void)send_message(visit.connection.get(), kDone + json.dump());
}

void refuse_upgrade(const Door::Visit& visit, const Error& error) {
    (void)send_message(visit.connection.get(), encode_error(error));
}

}  // namespace squenv::daemon
