// SPDX-License-Identifier: MIT
// Python compares the time in a compiled module with that of its source. Where the image gives a
// source another time than the one it has (SOURCE_DATE_EPOCH, --mtime, years the format has not
// got), the compiled module is packed with that time in it; otherwise every start compiles it.
#pragma once

#include <memory>

#include "pack/source.h"

namespace squenv::pack {

/// What `inner` has, with the times in compiled modules changed as those of their sources are.
/// `inner` and `options` must outlive it.
class RetimedSource final : public Source {
  public:
    RetimedSource(Source& inner, const Options& options) : inner_(inner), options_(options) {}

    Result<Scanned> scan() override { return inner_.scan(); }
    std::unique_ptr<FileReader> open_reader(const Tree& tree) const override;
    /// None where times change: they are in the contents.
    const StoredBlocks* stored_blocks() const override {
        return options_.mtime || options_.newest_mtime ? nullptr : inner_.stored_blocks();
    }

  private:
    Source& inner_;
    const Options& options_;
};

}  // namespace squenv::pack
