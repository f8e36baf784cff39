// SPDX-License-Identifier: MIT
#include "appendix/number.h"

namespace squenv::appendix {

void append_number(ByteVector& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::byte>((value & 0x7F) | 0x80));
    out.push_back(static_cast<std::byte>(value));
}

Result<std::uint64_t> take_number(ByteView& bytes) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<std::uint64_t>(bytes[0]);
        bytes = bytes.subspan(1);
        value |= (byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) return value;
    }
    return fail(Errc::corrupt, "appendix: a number without an end");
}

}  // namespace squenv::appendix
