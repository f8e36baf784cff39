// SPDX-License-Identifier: MIT
// Comparing the checksum at the end of a gzip file, which libarchive does not do.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace squenv::pack {

/// Told all bytes of a file and all that came out of it. Knows files of one member, which is what
/// gzip and tar make; of several members, joined or made by pigz -i, nothing is said. In a build
/// without libdeflate it says nothing of any. Not thread-safe.
class GzipCheck {
  public:
    void add_stored(ByteView bytes);
    void add_content(ByteView bytes);
    /// False when the file is one member and its end does not name the checksum and the length of
    /// the content. Padding and whatever else follows, up to 64 KiB, does not matter.
    [[nodiscard]] bool is_right() const;

  private:
    static constexpr std::size_t kHeader = 10;  ///< bytes of the fixed part
    static constexpr std::size_t kTail = 64U << 10;

    ByteVector recent_;  ///< the last stored bytes, kTail at least when there were as many
    bool has_begun_ = false;
    bool is_gzip_ = false;
    bool has_more_members_ = false;
    std::uint32_t checksum_ = 0;  ///< CRC-32 of the content
    std::uint32_t length_ = 0;    ///< of the content, modulo 2^32
};

}  // namespace squenv::pack
