// SPDX-License-Identifier: MIT
// An image as the tree of files that an environment is read from.
#pragma once

#include <string>
#include <vector>

#include "image/image.h"
#include "venv/file_tree.h"

namespace squenv::diff {

/// Thread-safe. The image outlives this. No symlink is followed.
class ImageTree final : public venv::FileTree {
  public:
    explicit ImageTree(const image::Image& image) : image_(image) {}
    [[nodiscard]] Result<std::vector<venv::FileEntry>> list(const std::string& path) const override;
    [[nodiscard]] Result<std::string> read(const std::string& path,
                                           std::size_t limit) const override;

  private:
    const image::Image& image_;
};

}  // namespace squenv::diff
