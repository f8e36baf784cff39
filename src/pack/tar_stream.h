// SPDX-License-Identifier: MIT
// The bytes of a tar archive as they are when decompressed, and whether they came to their end.
// libarchive takes a stream that stops between two files for a complete one; tar itself ends an
// archive with blocks of zeros, so that the two can be told apart.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

struct archive;

namespace squenv::pack {

/// Every tar archive is a row of blocks of this size.
inline constexpr std::size_t kTarBlock = 512;

/// Not thread-safe.
class TarStream {
  public:
    /// Opens the file at `path`, "-" for the standard input, whatever it is compressed with.
    /// `cancel`, if it is not nullptr, ends waiting for bytes that do not come, and those of which
    /// there is no end.
    /// Errors: not_found, denied, io, limit (memory), corrupt (the compressed form, or nothing),
    /// cancelled.
    [[nodiscard]] static Result<TarStream> open(const std::string& path,
                                                const std::atomic<bool>* cancel);

    /// The next bytes, which hold until the next call; none at the end. Errors: corrupt, io,
    /// cancelled.
    [[nodiscard]] Result<ByteView> next();

    /// To be called when a reader of the archive met its end, having looked for a header at
    /// `header` and consumed all before `position`: makes sure that it found a block of zeros
    /// there, and reads what follows. A lone block is enough: it is written
    /// after all files. What follows is padding, whatever it says, as long as no block of it is the
    /// header of a file.
    /// Errors: corrupt (cut off between two files, or the compressed form is damaged),
    /// unsupported (more files after the end), cancelled.
    [[nodiscard]] Status check_end(std::uint64_t header, std::uint64_t position);

    /// What messages call it.
    [[nodiscard]] const std::string& name() const { return name_; }

  private:
    struct Free {
        void operator()(struct archive* archive) const;
    };

    /// What libarchive reads the file by.
    struct Input;
    struct FreeInput {
        void operator()(Input* input) const;
    };

    explicit TarStream(const std::string& path);
    [[nodiscard]] Status begin();
    [[nodiscard]] tl::unexpected<Error> damaged() const;

    std::string name_;
    std::unique_ptr<Input, FreeInput> input_;
    std::unique_ptr<struct archive, Free> archive_;  ///< reads from input_
    ByteView current_;                               ///< what next() returned last
    std::uint64_t position_ = 0;                     ///< of its end in the decompressed stream
    /// The bytes in front of `current_`: enough for the blocks a reader looks at when it ends.
    std::array<std::byte, 4 * kTarBlock> before_{};
};

}  // namespace squenv::pack
