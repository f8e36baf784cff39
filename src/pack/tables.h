// SPDX-License-Identifier: MIT
// The tables pass: everything after the data, and the superblock that names it.
#pragma once

#include <vector>

#include "appendix/appendix.h"
#include "codec/codec.h"
#include "format/superblock.h"
#include "pack/content.h"
#include "pack/image_writer.h"
#include "pack/source.h"

namespace squenv::pack {

struct Tables {
    format::Superblock superblock;
    std::uint64_t clamped_mtimes = 0;
    std::vector<std::uint64_t> references;  ///< raw, by inode number - 1
};

/// Appends all tables to the image and returns the superblock, which is not written yet.
/// `digests` receives those of the tables when it is not null. Errors: limit, io.
[[nodiscard]] Result<Tables> write_tables(Tree& tree, const XattrSets& xattrs,
                                          const Contents& contents, const Options& options,
                                          const codec::Compressor* compressor, ImageWriter& writer,
                                          std::vector<appendix::BlockDigest>* digests);

}  // namespace squenv::pack
