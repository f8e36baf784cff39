// SPDX-License-Identifier: MIT
#include "pack/gzip_check.h"

#include <algorithm>

#include "base/little_endian.h"
#include "config.h"

#if SQUENV_HAVE_GZIP
#include <libdeflate.h>
#endif

namespace squenv::pack {

namespace {

/// The fixed part of the header of a member (RFC 1952). Compressed bytes look like one by chance
/// once in 2^40.
bool is_gzip_header(ByteView bytes) {
    const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
    constexpr unsigned kReservedFlags = 0xe0;
    constexpr unsigned kLastSystem = 13;
    const bool has_known_level = at(8) == 0 || at(8) == 2 || at(8) == 4;
    return at(0) == 0x1f && at(1) == 0x8b && at(2) == 8 && (at(3) & kReservedFlags) == 0 &&
           has_known_level && (at(9) <= kLastSystem || at(9) == 255);
}

}  // namespace

void GzipCheck::add_stored(ByteView bytes) {
#if SQUENV_HAVE_GZIP
    const bool is_first = !has_begun_;
    has_begun_ = true;
    if (!is_first && !is_gzip_) return;
    // A header may begin in what was there before.
    const std::size_t kept = recent_.size();
    append(recent_, bytes);
    std::size_t from = kept < kHeader ? 0 : kept - kHeader + 1;
    if (is_first) {
        is_gzip_ = recent_.size() >= kHeader && is_gzip_header(recent_);
        from = 1;
    }
    if (!is_gzip_) return recent_.clear();
    const ByteView all(recent_);
    while (!has_more_members_ && from + kHeader <= all.size()) {
        const auto found =
            std::find(all.begin() + static_cast<std::ptrdiff_t>(from), all.end(), std::byte{0x1f});
        from = static_cast<std::size_t>(found - all.begin());
        if (from + kHeader <= all.size()) has_more_members_ = is_gzip_header(all.subspan(from));
        ++from;
    }
    if (recent_.size() > 2 * kTail)
        recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(kTail));
#else
    (void)bytes;
#endif
}

void GzipCheck::add_content(ByteView bytes) {
#if SQUENV_HAVE_GZIP
    if (!is_gzip_) return;
    checksum_ = libdeflate_crc32(checksum_, bytes.data(), bytes.size());
    length_ += static_cast<std::uint32_t>(bytes.size());
#else
    (void)bytes;
#endif
}

bool GzipCheck::is_right() const {
    if (!is_gzip_ || has_more_members_) return true;
    ByteVector end;
    append(end, Le32(checksum_));
    append(end, Le32(length_));
    return std::search(recent_.begin(), recent_.end(), end.begin(), end.end()) != recent_.end();
}

}  // namespace squenv::pack
