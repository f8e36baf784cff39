// SPDX-License-Identifier: MIT
// Writing the image: in large pieces, its superblock last, its name when it is complete.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "pack/output_file.h"

namespace squenv::pack {

/// Appends in large aligned writes. Where the superblock belongs there are zeros until seal(),
/// so that an unfinished file is never taken for an image. Destroyed before publish() succeeded,
/// it leaves nothing. Not thread-safe.
class ImageWriter {
  public:
    /// Whether create() can be expected to succeed, for telling early. Errors: as create().
    [[nodiscard]] static Status check_output(const std::string& path, bool replaces);
    /// As OutputFile::create().
    [[nodiscard]] static Result<ImageWriter> create(const std::string& path, bool replaces,
                                                    Replace replace = {});
    ImageWriter(ImageWriter&&) noexcept = default;
    ImageWriter& operator=(ImageWriter&&) = delete;
    ~ImageWriter() = default;

    /// Copies the bytes up to `end` of the open image `file` to where they are there, all but its
    /// superblock, and has them written back. Before anything is appended. Errors: limit (disk
    /// full), io, cancelled.
    [[nodiscard]] Status adopt(int file, std::uint64_t end, const std::atomic<bool>& cancel);
    /// The end of what was adopted; 0 without that.
    [[nodiscard]] std::uint64_t adopted() const { return adopted_; }
    /// What is appended from now on follows what was adopted; or takes its place.
    [[nodiscard]] Status keep_adopted();
    [[nodiscard]] Status drop_adopted();

    [[nodiscard]] std::uint64_t position() const { return position_; }
    /// Errors: limit (disk full), io.
    [[nodiscard]] Status append(ByteView bytes);
    /// Appends zeros up to a multiple of `alignment`.
    [[nodiscard]] Status align(std::uint64_t alignment);
    /// Makes everything durable, then the superblock. Nothing can be appended afterwards.
    [[nodiscard]] Status seal(ByteView superblock);
    /// Gives the sealed file its name. Errors: exists, denied, limit, io.
    [[nodiscard]] Status publish() { return file_.publish(); }
    /// As those of the file: how to open it until then, and what it could not keep.
    [[nodiscard]] std::string temporary_path() const { return file_.temporary_path(); }
    [[nodiscard]] const std::string& access_note() const { return file_.access_note(); }

  private:
    struct FreeBuffer {
        void operator()(std::byte* buffer) const;
    };
    explicit ImageWriter(OutputFile file);
    [[nodiscard]] Status flush();
    [[nodiscard]] Status write_at(ByteView bytes, std::uint64_t position);

    OutputFile file_;
    std::unique_ptr<std::byte, FreeBuffer> buffer_;
    std::size_t buffered_ = 0;
    std::uint64_t position_ = 0;
    std::uint64_t adopted_ = 0;
};

}  // namespace squenv::pack
