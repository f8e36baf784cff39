// SPDX-License-Identifier: MIT
// Squashfs images in memory, for tests: a tree is described, laid out, and then any field of any
// structure can be overwritten by name. Metadata is stored uncompressed unless asked otherwise,
// so that a field has one place in the image.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "format/inode.h"
#include "format/superblock.h"

namespace squenv::test {

/// An image and where its fields are. Names, with PATH relative to the root ("" is the root):
///   superblock.NAME            as in format::Superblock, and magic, version_major, version_minor
///   inode:PATH.NAME            type mode uid gid mtime number, and by type: size nlink start
///                              fragment offset sparse xattr parent listing_block listing_offset
///                              index_count device
///   word:PATH#N                size word of block N of a file
///   target:PATH                text of a symlink
///   run:PATH#N.NAME            count inode_block inode_number of run N of a directory
///   entry:PATH.NAME            offset delta type name_size name, in the parent's listing
///   fragment:N.NAME            start size
///   id:N, export:N             records
///   xattr_header.NAME          pairs_start id_count
///   xattr_set:N.NAME           pairs count size
///   xattr:PATH#N.NAME          type name_size name value_size value
///   metadata:TABLE#N           header of metadata block N of inodes, directories, fragments,
///                              exports, ids, xattr_pairs or xattr_sets
///   list:TABLE#N               entry N of the location list of such a table
class BuiltImage {
  public:
    ByteVector bytes;
    /// What a reader must find: path -> content of files.
    std::map<std::string, std::string> files;
    std::map<std::string, std::string> symlinks;
    /// path -> names in listing order.
    std::map<std::string, std::vector<std::string>> directories;
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> xattrs;
    std::vector<std::string> specials;

    [[nodiscard]] std::uint64_t get(const std::string& field) const;
    void set(const std::string& field, std::uint64_t value);
    /// Overwrites as many bytes as `text` has, which the field must have room for.
    void set_text(const std::string& field, const std::string& text);
    [[nodiscard]] bool has(const std::string& field) const { return places_.contains(field); }
    /// All fields, in order of their names.
    [[nodiscard]] std::vector<std::string> fields() const;

  private:
    friend class Layout;
    /// Image positions of the bytes of a field; a metadata header may lie between two of them.
    using Place = std::vector<std::size_t>;
    [[nodiscard]] const Place& place(const std::string& field) const;
    std::map<std::string, Place> places_;
};

/// One object of a tree that is to become an image.
struct TestNode {
    format::InodeType type = format::InodeType::file;
    bool is_extended = false;  ///< more than the content demands
    std::uint16_t mode = 0644;
    std::uint32_t uid = 1000;
    std::uint32_t gid = 100;
    std::uint32_t mtime = 1'000'000'000;
    std::string content{};  ///< of a file; blocks of zeros become holes
    std::string target{};   ///< of a symlink
    std::uint32_t device = 0;
    std::vector<std::pair<std::string, std::string>> xattrs{};  ///< "user.x" -> value
    bool has_values_elsewhere = false;                          ///< xattr values out of line
    bool is_sorted = true;  ///< directories: false keeps the order of adding
    std::vector<std::pair<std::string, TestNode*>> children{};

    // Filled in while the image is laid out.
    std::string path{};
    std::uint32_t nlink = 0;
    format::InodeRecord record{};
    std::vector<std::uint32_t> words{};
    std::size_t inode_offset = 0;
    bool is_placed = false;
};

struct BuildOptions {
    std::uint32_t block_size = 4096;
    format::CompressorId compressor = format::CompressorId::gzip;
    bool compress_data = false;
    bool compress_metadata = false;  ///< only trees whose tables fit into one metadata block
    bool fragments = true;
    bool export_table = true;
    std::uint64_t gap = 0;             ///< unused bytes between the parts that allow them
    std::uint64_t gap_before_ids = 0;  ///< between the id blocks and the id list
    std::uint64_t gap_after_exports = 0;
    bool pad = true;                   ///< to a multiple of 4096
    std::vector<std::uint32_t> ids{};  ///< ids in front of those the tree needs
    ByteVector after_inodes{};         ///< metadata blocks, as they are stored
    ByteVector after_directories{};
};

class ImageBuilder {
  public:
    explicit ImageBuilder(BuildOptions options = {});

    [[nodiscard]] TestNode& root() { return *root_; }
    TestNode& directory(const std::string& path);
    TestNode& file(const std::string& path, std::string content);
    TestNode& symlink(const std::string& path, std::string target);
    TestNode& special(const std::string& path, format::InodeType type, std::uint32_t device = 0);
    /// Another name for an object: a hard link, or a directory with two parents.
    void link(const std::string& path, const std::string& existing);
    /// Any object below `parent`. Objects without a path have no named fields.
    TestNode& add(TestNode& parent, const std::string& name, TestNode node);
    [[nodiscard]] TestNode& at(const std::string& path);
    [[nodiscard]] BuildOptions& options() { return options_; }

    [[nodiscard]] BuiltImage build();

  private:
    friend class Layout;
    TestNode& put(const std::string& path, TestNode node);

    BuildOptions options_;
    std::vector<std::unique_ptr<TestNode>> nodes_;
    TestNode* root_;
    std::map<std::string, TestNode*> by_path_;
};

/// A tree with one of everything: see the definition. Used as the base of damaged images.
[[nodiscard]] ImageBuilder sample_tree(const BuildOptions& options = {});

/// `size` bytes that do not repeat within a block and hold no zeros; the same for the same seed.
[[nodiscard]] std::string pattern(std::size_t size, std::uint32_t seed);

/// A metadata block as it is stored: header and `payload`.
[[nodiscard]] ByteVector metadata_block(ByteView payload, bool is_compressed = false);

}  // namespace squenv::test
