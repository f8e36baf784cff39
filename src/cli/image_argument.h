// SPDX-License-Identifier: MIT
// The arguments shared by every command that opens an image.
#pragma once

#include <memory>
#include <string>

#include "base/text.h"
#include "cli/command.h"
#include "image/image.h"

namespace squenv::cli {

/// IMAGE, or a version of one as IMAGE@N, and --offset.
class ImageArgument {
  public:
    void declare(Options options);
    [[nodiscard]] Result<std::unique_ptr<image::Image>> open() const;
    /// As it was given.
    [[nodiscard]] const std::string& path() const { return path_; }
    /// The file of it, which is another one for a label. Errors: those of image_file().
    [[nodiscard]] Result<std::string> file() const;

  private:
    std::string path_;
    std::string offset_ = "0";
};

/// "drwxr-xr-x": type and permissions as ls(1) shows them.
[[nodiscard]] std::string mode_text(const image::Inode& inode);
/// "directory", "file", "symlink", "block device", "character device", "fifo" or "socket".
[[nodiscard]] const char* type_text(format::InodeType type);
/// "WHO: message", one line each on io.err, and how many more there are than were kept.
void print_errors(Io& io, const char* who, const std::vector<Error>& errors, std::uint64_t count);

}  // namespace squenv::cli
