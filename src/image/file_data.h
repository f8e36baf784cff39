// SPDX-License-Identifier: MIT
// The content of files, returned as slices of decoded blocks without a copy.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "image/block_cache.h"
#include "image/block_list.h"
#include "image/inode.h"
#include "image/lookup_table.h"

namespace squenv::image {

/// Bytes and what keeps them alive. Holes point to shared zeros and own nothing.
struct DataSlice {
    BlockPointer owner;
    ByteView bytes;
    /// The owner is a fragment block that this very read decoded: it holds the tails of other
    /// files, which the caller may hand on before they are asked for.
    bool is_new_fragment = false;
};

/// A piece of a file and the stored block that it is in.
struct StoredPart {
    BlockPlace place;
    std::size_t length = 0;  ///< of the decoded block, or BlockCache::kAnyLength
    std::uint64_t file_offset = 0;
    std::uint32_t block_offset = 0;
    std::uint32_t size_bytes = 0;
};

/// Thread-safe.
class FileData {
  public:
    FileData(const format::Superblock& superblock, const BlockLists& lists,
             const BlockCache& blocks, const LookupTable& fragments)
        : superblock_(superblock), lists_(lists), blocks_(blocks), fragments_(fragments) {}

    /// Up to `size` bytes of `file` from `offset` on, less at its end.
    /// Errors: corrupt or io, when any block of the range is bad.
    [[nodiscard]] Result<std::vector<DataSlice>> read(const Inode& file, std::uint64_t offset,
                                                      std::uint64_t size) const;
    /// The tail of `file` inside a decoded fragment block, or nothing when it is not in it.
    [[nodiscard]] static std::optional<ByteView> tail_in(const Inode& file, ByteView fragment,
                                                         std::uint32_t block_size);

    enum class Seek { data, hole };
    /// The first position >= `offset` that is data or a hole, as lseek(2) has it. Holes are whole
    /// sparse blocks, and the end of the file is one. Nothing past the end, or when no data
    /// follows.
    [[nodiscard]] Result<std::optional<std::uint64_t>> seek(const Inode& file, std::uint64_t offset,
                                                            Seek what) const;

    /// Where the bytes of `file` are stored: its blocks that are no holes, then the fragment block
    /// that holds its tail. Errors: corrupt, io.
    [[nodiscard]] Status visit_places(const Inode& file,
                                      const std::function<void(const BlockPlace&)>& visit) const;

    /// The same for a range inside the file, with the pieces of it.
    [[nodiscard]] Status visit_stored(const Inode& file, std::uint64_t offset, std::uint64_t size,
                                      const std::function<void(const StoredPart&)>& visit) const;
    /// The decoded block of a part. Errors: corrupt, io.
    [[nodiscard]] Result<BlockCache::Answer> block(const BlockPlace& place, std::size_t length,
                                                   const BlockCache::Request& request) const {
        return blocks_.get(place, length, request);
    }

  private:
    [[nodiscard]] Result<BlockPlace> fragment_place(const Inode& file) const;
    [[nodiscard]] Status read_blocks(const Inode& file, std::uint64_t offset, std::uint64_t end,
                                     std::vector<DataSlice>& slices) const;
    [[nodiscard]] Status read_tail(const Inode& file, std::uint64_t first, std::uint64_t last,
                                   std::vector<DataSlice>& slices) const;

    const format::Superblock& superblock_;
    const BlockLists& lists_;
    const BlockCache& blocks_;
    const LookupTable& fragments_;
};

}  // namespace squenv::image
