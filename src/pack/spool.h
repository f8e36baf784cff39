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

/// A file without a name, so that nothing of it survives the process. Holes are remembered and not
/// written, whatever the file system makes of them. Written by one thread, then read by any number.
class Spool {
  public:
    /// Errors: denied, io.
    [[nodiscard]] static Result<Spool> open(const std::string& directory);

    /// Begins the file with this number, which is Node::source_inode.
    void begin(std::uint64_t number);
    /// Bytes of the file that was begun last, at `offset` in it, which lies after those before.
    /// What is left out reads as zeros. Errors: limit (disk full), io.
    [[nodiscard]] Status write(std::uint64_t offset, ByteView bytes);

    /// The spool and `tree` outlive the reader.
    [[nodiscard]] std::unique_ptr<FileReader> open_reader(const Tree& tree) const;

  private:
    class Reader;
    /// Bytes of a file that follow each other.
    struct Range {
        std::uint64_t offset = 0;  ///< in the file
        std::uint64_t size_bytes = 0;
        std::uint64_t position = 0;  ///< in the spool
    };
    /// Those of one file follow each other in ranges_, by offset.
    struct File {
        std::uint64_t first_range = 0;
        std::uint64_t range_count = 0;
    };

    UniqueFd file_;
    std::string directory_;
    std::uint64_t end_ = 0;
    std::uint64_t current_ = 0;  ///< the number of the file that was begun last
    std::vector<Range> ranges_;
    std::vector<File> files_;  ///< by number
};

}  // namespace squenv::pack
