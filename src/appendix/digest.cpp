// SPDX-License-Identifier: MIT
#include "appendix/digest.h"

#include <openssl/sha.h>

namespace squenv::appendix {

Digest digest_of(ByteView bytes) {
    Digest digest;
    // The one-shot form of libcrypto cannot fail: it allocates nothing.
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

}  // namespace squenv::appendix
