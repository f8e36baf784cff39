// SPDX-License-Identifier: MIT
// A source whose scan runs before it is packed, for callers that look at the tree first.
#pragma once

#include <memory>
#include <utility>

#include "pack/source.h"

namespace squenv::pack {

/// Passes on what the scan of another source found, or its failure.
class ScannedSource final : public Source {
  public:
    /// Scans `source`, which must have been opened.
    explicit ScannedSource(std::unique_ptr<Source> source)
        : source_(std::move(source)), scanned_(source_->scan()) {}

    /// Until scan() is called; nullptr when the scan has failed.
    [[nodiscard]] Tree* tree() { return scanned_ ? &scanned_->tree : nullptr; }

    Result<Scanned> scan() override { return std::move(scanned_); }
    std::unique_ptr<FileReader> open_reader(const Tree& tree) const override {
        return source_->open_reader(tree);
    }

  private:
    const std::unique_ptr<Source> source_;
    Result<Scanned> scanned_;
};

}  // namespace squenv::pack
