// SPDX-License-Identifier: MIT
// What is known of the data of the files in the image: filled by the content pass, read by the
// tables pass.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "format/bounds.h"
#include "format/tables.h"
#include "pack/file_kind.h"
#include "pack/tree.h"

namespace squenv::pack {

/// The data of one regular file.
struct Content {
    EntryId node = kNoEntry;
    std::uint32_t fragment = format::kNoFragment;
    std::uint32_t fragment_offset = 0;
    std::uint32_t same_as = kNoContent;  ///< the content whose place this one shares
    std::uint32_t taken = kNoContent;    ///< see find_stored_files(); else it is read and packed
    std::uint64_t size_bytes = 0;
    std::uint64_t start = 0;       ///< image position of the first stored block, 0 when none is
    std::uint64_t first_word = 0;  ///< index of its block words
    FileKind kind = FileKind::other;
    bool has_failed = false;  ///< the source could not be read; the file is left out
};

/// Size words of all blocks of all files. Zero, which means a hole, until a block is stored; the
/// memory of words that stay zero is never used, so that large holes cost nothing.
class BlockWords {
  public:
    /// Errors: limit.
    [[nodiscard]] static Result<BlockWords> make(std::uint64_t count);
    [[nodiscard]] std::uint32_t& operator[](std::uint64_t index) { return words_.get()[index]; }
    [[nodiscard]] std::uint32_t operator[](std::uint64_t index) const {
        return words_.get()[index];
    }

  private:
    struct Free {
        void operator()(std::uint32_t* words) const { std::free(words); }
    };
    std::unique_ptr<std::uint32_t, Free> words_;
};

/// The contents in storage order and where each one went.
struct Contents {
    std::vector<Content> files;
    BlockWords words;
    std::vector<format::FragmentRecord> fragments;
    std::size_t hot_count = 0;  ///< how many at the beginning are hot

    /// The content whose place `index` uses: itself, or the one it is a duplicate of.
    [[nodiscard]] const Content& stored(std::uint32_t index) const {
        const Content& content = files[index];
        return content.same_as == kNoContent ? content : files[content.same_as];
    }
};

/// Contents for `files`, in that order, each with room for its block words; tells the nodes.
/// Errors: limit (a file of more blocks than Linux can address).
[[nodiscard]] Result<Contents> make_contents(Tree& tree, const std::vector<EntryId>& files,
                                             std::uint32_t block_size);

}  // namespace squenv::pack
