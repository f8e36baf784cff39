// SPDX-License-Identifier: MIT
#include "cache/file_digest.h"

#include <fcntl.h>
#include <fmt/format.h>
#define OPENSSL_API_COMPAT 0x10100000L  // SHA256_Update: EVP would link all of libcrypto
#include <openssl/sha.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/unique_fd.h"

namespace squenv::cache {

Result<std::string> file_digest(const std::string& path) {
    constexpr std::size_t kPiece = 1 << 20;
    SQUENV_TRY_ASSIGN(const auto fd, open_file(path, O_RDONLY));
    SHA256_CTX context;
    SHA256_Init(&context);
    std::vector<unsigned char> piece(kPiece);
    for (;;) {
        const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, path);
        if (got == 0) break;
        SHA256_Update(&context, piece.data(), static_cast<std::size_t>(got));
    }
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    SHA256_Final(digest.data(), &context);
    std::string text;
    for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
    return text;
}

}  // namespace squenv::cache
