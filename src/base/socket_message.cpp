// SPDX-License-Identifier: MIT
#include "base/socket_message.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace squenv {

namespace {

struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(kMaxMessageDescriptors * sizeof(int))> bytes{};
};

void take_descriptors(const msghdr& header, std::vector<UniqueFd>& descriptors) {
    auto* message = const_cast<msghdr*>(&header);
    for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
}

}  // namespace

Status send_message(int socket, std::string_view bytes, std::span<const int> descriptors) {
    if (bytes.empty() || bytes.size() > kMaxMessageBytes ||
        descriptors.size() > kMaxMessageDescriptors)
        return fail(Errc::internal, "a message of a size that is not allowed");
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    Control control;
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
        header.msg_control = control.bytes.data();
        header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent != static_cast<ssize_t>(bytes.size())) return fail_errno(errno, "sendmsg");
    return {};
}

Result<SocketMessage> receive_message(int socket) {
    SocketMessage message;
    message.bytes.resize(kMaxMessageBytes);
    iovec data{message.bytes.data(), message.bytes.size()};
    Control control;
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    // A peer that closed with unread data in its queue counts as closed like any other.
    if (got < 0 && errno == ECONNRESET) got = 0;
    if (got < 0) return fail_errno(errno, "recvmsg");
    message.bytes.resize(static_cast<std::size_t>(got));
    take_descriptors(header, message.descriptors);
    return message;
}

}  // namespace squenv
