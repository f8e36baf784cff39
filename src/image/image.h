// SPDX-License-Identifier: MIT
// One open image: everything below the file system, nothing of FUSE.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appendix/appendix.h"
#include "image/byte_source.h"
#include "image/directory.h"
#include "image/file_data.h"
#include "image/image_file.h"
#include "image/inode.h"
#include "image/xattrs.h"

namespace squenv::image {

/// How to open an image.
struct OpenOptions {
    std::uint64_t offset = 0;  ///< bytes in front of the image in its file
    bool find_offset = false;  ///< look for the image instead (AppImage, SIF)
    /// Budget of all caches together, in bytes. 32 MiB keeps a daemon below 64 MiB with four
    /// readers (measured, see tools/bench).
    std::size_t cache_bytes = 32U << 20;
};

/// Counters for `stats`.
struct ImageCounters {
    SourceCounters source;
    CacheCounters metadata;
    CacheCounters directories;
    CacheCounters blocks;
};

/// Immutable after open, thread-safe.
class Image {
  public:
    /// Errors: not_found, denied, unsupported, corrupt, io; the context names the file.
    [[nodiscard]] static Result<std::unique_ptr<Image>> open(const std::string& path,
                                                             const OpenOptions& options = {});
    /// The same for a file that is open.
    [[nodiscard]] static Result<std::unique_ptr<Image>> open(
        const std::shared_ptr<const ImageFile>& opened, const OpenOptions& options = {});
    /// The same over any source of bytes; `options.offset` is not used.
    [[nodiscard]] static Result<std::unique_ptr<Image>> open(std::unique_ptr<ByteSource> source,
                                                             const OpenOptions& options = {});
    ~Image();

    [[nodiscard]] const format::Superblock& superblock() const;
    /// "level 3", or empty when the image has no option block.
    [[nodiscard]] const std::string& compressor_options() const;
    /// Where the image begins in its file, in bytes.
    [[nodiscard]] std::uint64_t offset() const;
    /// True for an image whose superblock is at the end of the file.
    [[nodiscard]] bool is_streamed() const;

    [[nodiscard]] const Inode& root() const;
    /// Errors: corrupt, io.
    [[nodiscard]] Result<Inode> inode(const format::Reference& reference) const;
    /// The inode called `name`. A missing name is nothing, not an error.
    [[nodiscard]] Result<std::optional<Inode>> lookup(const Inode& directory,
                                                      std::string_view name) const;
    /// The inode stored right after `inode`: writers store the files of a directory in order.
    /// Nothing after files with more than 2,048 blocks and after the last inode.
    [[nodiscard]] std::optional<Inode> next_in_table(const Inode& inode) const;
    /// Follows a path from the root ("a/b", "/a/b/", "" is the root); symlinks are not followed.
    /// Errors: not_found, corrupt, io.
    [[nodiscard]] Result<Inode> resolve(std::string_view path) const;
    /// The reference of inode `number` by the export table. Errors: not_found, corrupt, io.
    [[nodiscard]] Result<format::Reference> exported(std::uint32_t number) const;
    /// Errors: corrupt, io, invalid_argument (not a symlink).
    [[nodiscard]] Result<std::string> read_link(const Inode& symlink) const;

    [[nodiscard]] const Directories& directories() const;
    [[nodiscard]] const FileData& data() const;
    [[nodiscard]] const Xattrs& xattrs() const;
    [[nodiscard]] const ByteSource& source() const;
    [[nodiscard]] ImageCounters counters() const;

    /// Reads the tables at once and keeps them in their stored form, unless they have more than
    /// `most_bytes`: for storage that is slow per read.
    void keep_tables(std::size_t most_bytes) const;

    /// True when the file changed since opening: its size, its time, or its first 96 bytes.
    [[nodiscard]] bool has_changed() const;

    /// All owners that inodes can name.
    [[nodiscard]] const std::vector<std::uint32_t>& ids() const;

    /// What the packer recorded, all of it; nothing in an image without an appendix.
    /// Errors: corrupt, unsupported (a later version), io.
    [[nodiscard]] Result<std::optional<appendix::Appendix>> appendix() const;
    /// Only the manifest, in a time that does not depend on the size of the image. Its digest is
    /// not compared. Errors: as appendix().
    [[nodiscard]] Result<std::optional<appendix::Manifest>> manifest() const;
    /// Only the hot list, empty without one. Its digest is not compared. Errors: as appendix().
    [[nodiscard]] Result<std::vector<appendix::HotItem>> hot_list() const;

  private:
    struct Parts;
    explicit Image(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace squenv::image
