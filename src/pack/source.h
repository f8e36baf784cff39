// SPDX-License-Identifier: MIT
// Where the files to pack come from: a directory, a tar stream, another image. The seam between
// the passes and the outside.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "pack/tree.h"
#include "pack/xattrs.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// What a scan found.
struct Scanned {
    Tree tree;
    XattrSets xattrs;
    std::vector<Finding> problems;  ///< what could not be looked at, sorted by path
};

/// Reads the contents of regular files. One per thread; not thread-safe itself.
class FileReader {
  public:
    virtual ~FileReader() = default;
    /// Fills `out` with the bytes at `offset`, and makes sure that the file is still the one the
    /// scan saw, before and after. The scan's size bounds offset + out.size().
    /// Errors: not_found, denied, io; busy when the file changed since the scan.
    [[nodiscard]] virtual Status read(EntryId node, std::uint64_t offset, MutableBytes out) = 0;
    /// Where data begins at or after `offset`; the size of the file when only a hole follows.
    [[nodiscard]] virtual Result<std::uint64_t> next_data(EntryId node, std::uint64_t offset) = 0;
};

class StoredBlocks;

/// A tree and its files. scan() runs first; the readers live shorter than the source and `tree`.
class Source {
  public:
    virtual ~Source() = default;
    /// Errors: not_found, denied, io (the root itself), limit, cancelled.
    [[nodiscard]] virtual Result<Scanned> scan() = 0;
    [[nodiscard]] virtual std::unique_ptr<FileReader> open_reader(const Tree& tree) const = 0;
    /// Blocks to be taken over as they are, once scan() was called; nullptr: there are none.
    [[nodiscard]] virtual const StoredBlocks* stored_blocks() const { return nullptr; }
};

/// True once the user wants to stop.
[[nodiscard]] inline bool is_cancelled(const Options& options) {
    return options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed);
}
[[nodiscard]] inline tl::unexpected<Error> cancelled() {
    return fail(Errc::cancelled, "stopped on request; no image was written");
}

}  // namespace squenv::pack
