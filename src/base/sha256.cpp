// SPDX-License-Identifier: MIT
#include "base/sha256.h"

// SHA256_Update: SHA256() and EVP would link all of libcrypto.
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

#include <utility>

namespace squenv {

Sha256 sha256_of(const std::function<ByteView()>& next) {
    Sha256 digest;
    // These cannot fail: they allocate nothing.
    SHA256_CTX context;
    SHA256_Init(&context);
    for (ByteView bytes = next(); !bytes.empty(); bytes = next())
        SHA256_Update(&context, bytes.data(), bytes.size());
    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &context);
    return digest;
}

Sha256 sha256_of(ByteView bytes) {
    return sha256_of([&bytes] { return std::exchange(bytes, {}); });
}

}  // namespace squenv
