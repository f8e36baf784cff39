// SPDX-License-Identifier: MIT
// The compressors of squashfs, under one interface. Knows nothing of images or files.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "format/superblock.h"

namespace squenv::codec {

/// Decodes whole blocks. Thread-safe: contexts are pooled per concurrent caller.
class Decompressor {
  public:
    virtual ~Decompressor() = default;
    /// Decodes `input` into `output` and returns the decoded length, which never exceeds
    /// output.size(). Errors: corrupt (damaged, or longer than the output), limit (memory).
    [[nodiscard]] virtual Result<std::size_t> decompress(ByteView input,
                                                         MutableBytes output) const = 0;
};

/// What a block is made of, as far as a compressor can use it. A wrong one costs time or size only.
enum class BlockKind : std::uint8_t { other, bytecode, machine_code };

/// Encodes whole blocks. Thread-safe like Decompressor.
class Compressor {
  public:
    virtual ~Compressor() = default;
    /// Encodes `input` into `output`; 0 when the result does not fit, which tells the caller to
    /// store the block as it is. The same input of the same kind always gives the same bytes.
    [[nodiscard]] virtual Result<std::size_t> compress(ByteView input, MutableBytes output,
                                                       BlockKind kind = BlockKind::other) const = 0;
};

/// The levels of a compressor.
struct LevelRange {
    int lowest = 0;
    int highest = 0;
    int preset = 0;  ///< the level of squenv unless the user names one
};

/// False when this build lacks the library for `id`.
[[nodiscard]] bool is_available(format::CompressorId id);
/// Errors: unsupported, naming the library this build lacks.
[[nodiscard]] Result<std::unique_ptr<Decompressor>> make_decompressor(format::CompressorId id);
/// `level` lies in level_range(id). `largest_block` bounds dictionaries, in bytes.
/// Errors: unsupported, invalid_argument.
[[nodiscard]] Result<std::unique_ptr<Compressor>> make_compressor(format::CompressorId id,
                                                                  int level,
                                                                  std::size_t largest_block);
[[nodiscard]] LevelRange level_range(format::CompressorId id);

}  // namespace squenv::codec
