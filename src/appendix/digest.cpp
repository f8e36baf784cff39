// SPDX-License-Identifier: MIT
#include "appendix/digest.h"

#define OPENSSL_API_COMPAT 0x10100000L  // SHA256_Update: SHA256() and EVP would link all of libcrypto
#include <openssl/sha.h>

#include <utility>

namespace squenv::appendix {

Digest digest_of(const std::function<ByteView()>& next) {
    Digest digest;
    // These cannot fail: they allocate nothing.
    SHA256_CTX context;
    SHA256_Init(&context);
    for (ByteView bytes = next(); !bytes.empty(); bytes = next())
        SHA256_Update(&context, bytes.data(), bytes.size());
    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &context);
    return digest;
}

Digest digest_of(ByteView bytes) {
    return digest_of([&bytes] { return std::exchange(bytes, {}); });
}

}  // namespace squenv::appendix
