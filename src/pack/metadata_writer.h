// SPDX-License-Identifier: MIT
// A chain of metadata blocks under construction.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "codec/codec.h"
#include "format/reference.h"

namespace squenv::pack {

/// Cuts what is appended into blocks of 8 KiB and compresses them. Not thread-safe.
class MetadataWriter {
  public:
    /// `compressor` may be null (blocks are stored as they are) and must outlive the writer.
    explicit MetadataWriter(const codec::Compressor* compressor) : compressor_(compressor) {}

    /// Where the next byte will lie.
    [[nodiscard]] format::Reference reference() const;
    /// Errors: limit (the compressed chain is longer than a reference can say).
    [[nodiscard]] Status append(ByteView bytes);
    /// Ends the last block. Nothing can be appended afterwards.
    [[nodiscard]] Status finish();

    /// The stored chain, and where in it each block begins. Complete after finish().
    [[nodiscard]] const ByteVector& bytes() const { return stored_; }
    [[nodiscard]] const std::vector<std::uint64_t>& block_starts() const { return starts_; }

  private:
    [[nodiscard]] Status end_block();

    const codec::Compressor* compressor_;
    ByteVector block_;  ///< not yet stored, less than 8 KiB
    ByteVector stored_;
    std::vector<std::uint64_t> starts_;
};

}  // namespace squenv::pack
