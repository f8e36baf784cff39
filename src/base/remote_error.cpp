// SPDX-License-Identifier: MIT
#include "base/remote_error.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace squenv {

namespace {

struct Header {
    std::uint32_t magic = 0;
    std::int32_t code = 0;
    std::int32_t sys_errno = 0;
    std::uint32_t context_bytes = 0;
};

/// No byte of text that another message begins with.
constexpr std::uint32_t kMagic = 0xE5E55E01;
/// Most of what there is room for: the context names the object and the reason.
constexpr std::size_t kMaxContext = 3072;

}  // namespace

std::string encode_error(const Error& error) {
    const std::string_view context = std::string_view(error.context).substr(0, kMaxContext);
    const Header header{kMagic, static_cast<std::int32_t>(error.code), error.sys_errno,
                        static_cast<std::uint32_t>(context.size())};
    std::string bytes(sizeof header, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes += context;
    return bytes.append(error.hint, 0, kMaxRemoteError - bytes.size());
}

std::optional<Error> decode_error(std::string_view bytes) {
    Header header;
    if (bytes.size() < sizeof header || bytes.size() > kMaxRemoteError) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes.remove_prefix(sizeof header);
    if (header.magic != kMagic || header.context_bytes > bytes.size() || header.code < 0 ||
        header.code > static_cast<std::int32_t>(Errc::internal))
        return std::nullopt;
    return Error{static_cast<Errc>(header.code), header.sys_errno,
                 std::string(bytes.substr(0, header.context_bytes)),
                 std::string(bytes.substr(header.context_bytes))};
}

}  // namespace squenv
