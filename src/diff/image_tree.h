// SPDX-License-Identifier: MIT
// An image as the tree of files that an environment is read from.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"
#include "venv/file_tree.h"

namespace squenv::diff {

/// What is below `directory` of an image, "" for its root. Thread-safe. The image outlives this. No
/// symlink is followed.
class ImageTree final : public venv::FileTree {
  public:
    explicit ImageTree(const image::Image& image, std::string directory = {})
        : image_(image), directory_(std::move(directory)) {}
    [[nodiscard]] Result<std::vector<venv::FileEntry>> list(const std::string& path) const override;
    [[nodiscard]] Result<std::string> read(const std::string& path,
                                           std::size_t limit) const override;
    [[nodiscard]] Result<std::string> link(const std::string& path) const override;

  private:
    /// Nothing when no such name is there. Errors: corrupt, io.
    [[nodiscard]] Result<std::optional<image::Inode>> find(const std::string& path) const;

    const image::Image& image_;
    const std::string directory_;
};

}  // namespace squenv::diff
