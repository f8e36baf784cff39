// SPDX-License-Identifier: MIT
// The output file: written under a temporary name, given its own name only when complete.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::pack {

/// Appends in large aligned writes. Where the superblock belongs there are zeros until seal(),
/// so that an unfinished file is never taken for an image. Destroyed before publish() succeeded,
/// it removes the temporary file. Not thread-safe.
class ImageWriter {
  public:
    /// Whether create() can be expected to succeed, for telling early. Errors: as create().
    [[nodiscard]] static Status check_output(const std::string& path, bool replaces);
    /// Creates "`path`.tmp.PID" beside `path`. Errors: exists (`path`, without `replaces`),
    /// denied, not_found, io.
    [[nodiscard]] static Result<ImageWriter> create(const std::string& path, bool replaces);
    ImageWriter(ImageWriter&& other) noexcept;
    ImageWriter& operator=(ImageWriter&&) = delete;
    ~ImageWriter();

    [[nodiscard]] std::uint64_t position() const { return position_; }
    /// Errors: limit (disk full), io.
    [[nodiscard]] Status append(ByteView bytes);
    /// Appends zeros up to a multiple of `alignment`.
    [[nodiscard]] Status align(std::uint64_t alignment);
    /// Makes everything durable, then the superblock. Nothing can be appended afterwards.
    [[nodiscard]] Status seal(ByteView superblock);
    /// Gives the sealed file its name. Errors: exists, denied, io.
    [[nodiscard]] Status publish();
    /// The file's name until then.
    [[nodiscard]] const std::string& temporary_path() const { return temporary_path_; }

  private:
    struct FreeBuffer {
        void operator()(std::byte* buffer) const;
    };
    ImageWriter() = default;
    [[nodiscard]] Status flush();
    [[nodiscard]] Status write_at(ByteView bytes, std::uint64_t position);

    std::string path_;
    std::string temporary_path_;
    bool replaces_ = false;
    UniqueFd file_;
    std::unique_ptr<std::byte, FreeBuffer> buffer_;
    std::size_t buffered_ = 0;
    std::uint64_t position_ = 0;
};

}  // namespace squenv::pack
