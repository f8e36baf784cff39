// SPDX-License-Identifier: MIT
#include "cache/file_digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "appendix/digest.h"
#include "base/unique_fd.h"

namespace squenv::cache {

Result<std::string> file_digest(const std::string& path) {
    constexpr std::size_t kPiece = 1 << 20;
    SQUENV_TRY_ASSIGN(const auto fd, open_file(path, O_RDONLY));
    ByteVector piece(kPiece);
    int code = 0;
    const appendix::Digest digest = appendix::digest_of([&] {
        ssize_t got = 0;
        do {
            got = ::read(fd.get(), piece.data(), piece.size());
        } while (got < 0 && errno == EINTR);
        if (got < 0) code = errno;
        return ByteView(piece).first(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    });
    if (code != 0) return fail_errno(code, path);
    std::string text;
    for (const std::byte byte : digest) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

}  // namespace squenv::cache
