// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/file_identity.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::image {

/// An image file that is opened once. The descriptor pins it: what identifies the image and what is
/// served later are the same bytes, also when another file takes its path meanwhile. Immutable,
/// thread-safe.
class ImageFile {
  public:
    /// A regular file or a block device. Errors: not_found, denied, invalid_argument (a directory
    /// or a pipe), io.
    [[nodiscard]] static Result<std::shared_ptr<const ImageFile>> open(const std::string& path);
    /// One that another process has opened at `path`. Errors: invalid_argument, io.
    [[nodiscard]] static Result<std::shared_ptr<const ImageFile>> adopt(UniqueFd file,
                                                                        const std::string& path);

    [[nodiscard]] const std::string& path() const { return path_; }  ///< as it was given
    [[nodiscard]] int descriptor() const { return fd_.get(); }
    [[nodiscard]] const FileIdentity& identity() const { return identity_; }
    [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }  ///< also of a device

  private:
    ImageFile(std::string path, UniqueFd fd, const FileIdentity& identity, std::uint64_t size_bytes)
        : path_(std::move(path)),
          fd_(std::move(fd)),
          identity_(identity),
          size_bytes_(size_bytes) {}

    std::string path_;
    UniqueFd fd_;
    FileIdentity identity_;
    std::uint64_t size_bytes_;
};

}  // namespace squenv::image
