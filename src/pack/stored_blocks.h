// SPDX-License-Identifier: MIT
// Data that another image has in the form in which this one would store it: taking it over costs a
// copy, and no compression.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256.h"
#include "format/bounds.h"
#include "format/tables.h"
#include "pack/content.h"
#include "pack/tree.h"

namespace squenv::pack {

/// How that image has stored a file.
struct StoredFile {
    std::uint64_t start = 0;           ///< position there of the first block, 0 when none is stored
    std::vector<std::uint32_t> words;  ///< as format::encode_block_word(); 0 is a hole
    std::uint32_t fragment = format::kNoFragment;  ///< its index there
    std::uint32_t fragment_offset = 0;
    format::FragmentRecord fragment_block{};
};

/// An image with the codec and the block size of the one that is made. Used by one thread.
class StoredBlocks {
  public:
    virtual ~StoredBlocks() = default;
    /// Nothing for a file that is to be packed from its contents. Errors: corrupt, io.
    [[nodiscard]] virtual Result<std::optional<StoredFile>> file(const Node& node) const = 0;
    /// Errors: io.
    [[nodiscard]] virtual Status read(std::uint64_t position, MutableBytes out) const = 0;
    /// The digest that was recorded for the block of that size at `position`. Where there is none,
    /// one is made. A block that was damaged since goes on differing from its digest.
    [[nodiscard]] virtual std::optional<Sha256> digest(std::uint64_t position,
                                                       std::uint32_t size_bytes) const = 0;
};

/// Marks the contents whose data is taken over: Content::taken is the index into the result. Those
/// that share their place there share it here. Errors: those of `blocks`.
[[nodiscard]] Result<std::vector<StoredFile>> find_stored_files(const Tree& tree,
                                                                const StoredBlocks& blocks,
                                                                Contents& contents);

}  // namespace squenv::pack
