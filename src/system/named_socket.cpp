// SPDX-License-Identifier: MIT
#include "system/named_socket.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace squenv::system {

namespace {

/// The ranks of a node that start at once; the kernel lowers it to net.core.somaxconn.
constexpr int kBacklog = 4096;

/// An abstract address: the path begins with a NUL.
struct Address {
    sockaddr_un socket{};
    socklen_t size = 0;

    explicit Address(const std::string& name) {
        socket.sun_family = AF_UNIX;
        const std::size_t length = std::min(name.size(), sizeof socket.sun_path - 1);
        std::memcpy(socket.sun_path + 1, name.data(), length);
        size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
    }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&socket); }
};

Result<UniqueFd> make_socket(int flags = 0) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
    if (!socket) return fail_errno(errno, "socket");
    return socket;
}

}  // namespace

Result<std::optional<UniqueFd>> claim_name(const std::string& name) {
    SQUENV_TRY_ASSIGN(auto socket, make_socket());
    const Address address(name);
    if (::bind(socket.get(), address.get(), address.size) != 0) {
        if (errno == EADDRINUSE) return std::optional<UniqueFd>();
        return fail_errno(errno, "bind");
    }
    if (::listen(socket.get(), kBacklog) != 0) return fail_errno(errno, "listen");
    return std::optional<UniqueFd>(std::move(socket));
}

Result<std::optional<UniqueFd>> visit_name(const std::string& name) {
    SQUENV_TRY_ASSIGN(auto socket, make_socket(SOCK_NONBLOCK));
    const Address address(name);
    int result = 0;
    do {
        result = ::connect(socket.get(), address.get(), address.size);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        if (errno == ECONNREFUSED) return std::optional<UniqueFd>();
        if (errno == EAGAIN) return fail(Errc::busy, "the queue of the daemon is full");
        return fail_errno(errno, "connect");
    }
    SQUENV_TRY_ASSIGN(const auto uid, peer_uid(socket.get()));
    if (uid != ::geteuid())
        return fail(Errc::denied, fmt::format("user {} listens where your daemon would", uid));
    ::fcntl(socket.get(), F_SETFL, 0);  // blocking from here on
    return std::optional<UniqueFd>(std::move(socket));
}

void announce_listener(int listener) {
    // The kernel notes the last caller of listen(2). The queue stays as it is.
    (void)::listen(listener, kBacklog);
}

pid_t peer_process(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool is_known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    return is_known && peer.pid > 0 ? peer.pid : -1;
}

Result<std::uint32_t> peer_uid(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return fail_errno(errno, "SO_PEERCRED");
    return peer.uid;
}

}  // namespace squenv::system
