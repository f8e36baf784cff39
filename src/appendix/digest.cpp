// SPDX-License-Identifier: MIT
#include "appendix/digest.h"

#define OPENSSL_API_COMPAT 0x10100000L  // SHA256_Update: SHA256() would link all of libcrypto
#include <openssl/sha.h>

namespace squenv::appendix {

Digest digest_of(ByteView bytes) {
    Digest digest;
    // These cannot fail: they allocate nothing.
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes.data(), bytes.size());
    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &context);
    return digest;
}

}  // namespace squenv::appendix
