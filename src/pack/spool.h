// SPDX-License-Identifier: MIT
// Contents of files that came from a stream, kept until they are packed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "pack/source.h"

namespace squenv::pack {

/// A file without a name, so that nothing of it survives the process. Written by one thread, then
/// read by any number.
class Spool {
  public:
    /// Errors: denied, io.
    [[nodiscard]] static Result<Spool> open(const std::string& directory);

    /// Where the next file can begin.
    [[nodiscard]] std::uint64_t begin() const { return end_; }
    /// Errors: limit (disk full), io.
    [[nodiscard]] Status write(std::uint64_t position, ByteView bytes);
    /// Ends a file; what was not written reads as zeros.
    [[nodiscard]] Status end(std::uint64_t position);
    /// The file with this number, which is Node::source_inode, begins at `position`.
    void remember(std::uint64_t number, std::uint64_t position);

    /// The spool and `tree` outlive the reader.
    [[nodiscard]] std::unique_ptr<FileReader> open_reader(const Tree& tree) const;

  private:
    UniqueFd file_;
    std::string directory_;
    std::uint64_t end_ = 0;
    std::vector<std::uint64_t> positions_;  ///< by number
};

}  // namespace squenv::pack
