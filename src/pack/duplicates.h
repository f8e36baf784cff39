// SPDX-License-Identifier: MIT
// Finding files with the same bytes by a 128-bit hash and the size, in linear time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "pack/content.h"
#include "pack/source.h"

namespace squenv::pack {

struct Hash128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const Hash128&) const = default;
};

/// A hash of what is added piece by piece. Not thread-safe.
class HashStream {
  public:
    explicit HashStream(std::uint64_t seed);
    ~HashStream();
    HashStream(HashStream&&) noexcept;
    HashStream& operator=(HashStream&&) = delete;
    void add(ByteView bytes);
    [[nodiscard]] Hash128 result() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Hashes file contents with a seed drawn anew for every run, so that two files that hash the
/// same cannot be prepared. Results decide only what is equal, never what is written.
/// Thread-safe.
class FileHasher {
  public:
    FileHasher();
    [[nodiscard]] Hash128 of(ByteView bytes) const;
    [[nodiscard]] HashStream stream() const { return HashStream(seed_); }
    /// The hash of a whole file, read piece by piece. Holes cost nothing, and count as the zeros
    /// they are. Comparable with others of this function only.
    [[nodiscard]] Result<Hash128> of_file(FileReader& reader, EntryId node,
                                          std::uint64_t size_bytes, const Options& options) const;

  private:
    std::uint64_t seed_;
};

/// Which contents were seen before. Not thread-safe.
class DuplicateIndex {
  public:
    /// Room for `expected` contents from the start.
    explicit DuplicateIndex(std::size_t expected);
    /// The content with this hash and size, or kNoContent after remembering `content` for it.
    [[nodiscard]] std::uint32_t find_or_add(const Hash128& hash, std::uint64_t size_bytes,
                                            std::uint32_t content);

  private:
    struct Slot {
        Hash128 key;
        std::uint32_t content = kNoContent;
    };
    void grow();
    [[nodiscard]] Slot& slot_of(const Hash128& key);

    std::vector<Slot> slots_;  ///< a power of two, at most half full; open addressing
    std::size_t used_ = 0;
};

/// Marks large files (more than one unit) that repeat an earlier one, by reading those that have
/// the size of another. Small files are compared while they are packed. What cannot be read is
/// left to the content pass. Errors: cancelled.
[[nodiscard]] Status find_large_duplicates(const Source& source, const Tree& tree,
                                           Contents& contents, const Options& options,
                                           const FileHasher& hasher);

}  // namespace squenv::pack
