// SPDX-License-Identifier: MIT
// Reading squashfs images: open one, walk it, read it, without mounting it. Nothing here prints,
// starts a thread or reads the environment, and no exception leaves it.
//
// Errors that every function can return: corrupt (the bytes it needs contradict the format; other
// objects stay readable), io (the storage failed, also when the file became shorter; a retry may
// succeed), limit (out of memory). Each function names what it adds. Error::context names the
// object and the reason.
#pragma once

#include <squenv/expected.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace squenv {

enum class FileType { directory, file, symlink, block_device, char_device, fifo, socket };

/// Names an object of one image, whatever it is called: hard links share it. Stays the same for as
/// long as the image file does, also in another process. In another image it means nothing there:
/// it is answered with `corrupt` or another object, never with a crash.
struct NodeId {
    std::uint64_t value = 0;
    auto operator<=>(const NodeId&) const = default;
};

/// What stat(2) tells.
struct Stat {
    NodeId id;
    FileType type = FileType::file;
    std::uint32_t permissions = 0;  ///< mode without the type, 07777
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int64_t mtime = 0;  ///< seconds since 1970
    std::uint32_t link_count = 1;
    std::uint32_t inode_number = 0;  ///< from 1 to Image::inode_count()
    /// Bytes: of a file's content, of a symlink's target; of other types of no use.
    std::uint64_t size_bytes = 0;
    std::uint32_t device_major = 0;  ///< of block and character devices
    std::uint32_t device_minor = 0;
};

/// One name in a directory. There are no "." and "..".
struct DirectoryEntry {
    std::string name;  ///< bytes; neither empty nor with '/' or NUL in it
    NodeId id;
    FileType type = FileType::file;
    std::uint32_t inode_number = 0;
};

struct ImageOptions {
    std::uint64_t offset = 0;   ///< bytes in front of the image in its file
    bool finds_offset = false;  ///< look for the image instead: AppImage, SIF
    /// Upper bound of all caches of the image together, in bytes.
    std::size_t cache_bytes = std::size_t{32} << 20;
};

/// What Image::walk() calls. Neither may throw. False ends the walk, which is no error.
struct WalkVisitor {
    /// An object, a directory before what is in it. `path` is relative to where the walk began,
    /// which is "" itself.
    std::function<bool(const std::string& path, const Stat& stat)> visit;
    /// An object or directory that cannot be read; the walk goes on beside it. When this is empty,
    /// the walk ends with the error instead.
    std::function<bool(const std::string& path, const Error& error)> failed;
};

/// An open image. Immutable: any number of threads may call the const functions of one Image, and
/// of several, at a time. Moving or destroying it must not overlap with a call; a moved-from Image
/// can only be assigned to and destroyed. Holds one descriptor (close-on-exec) of the file, which
/// therefore may be unlinked or replaced by rename; it must not be written to.
class Image {
  public:
    /// Adds: not_found, denied, invalid_argument (a directory; an offset beyond the end),
    /// unsupported (no squashfs 4.0, or a codec that this build lacks). The context names `path`.
    static Expected<Image> open(const std::string& path, const ImageOptions& options = {});

    Image(Image&& other) noexcept;
    Image& operator=(Image&& other) noexcept;
    ~Image();

    [[nodiscard]] std::uint64_t offset() const noexcept;      ///< bytes in front of the image
    [[nodiscard]] std::uint64_t size_bytes() const noexcept;  ///< of the image, without padding
    [[nodiscard]] std::uint32_t block_size() const noexcept;  ///< bytes that are decoded at once
    [[nodiscard]] std::uint32_t inode_count() const noexcept;
    [[nodiscard]] std::int64_t created() const noexcept;  ///< seconds since 1970
    /// "gzip", "lzma", "lzo", "xz", "lz4" or "zstd".
    [[nodiscard]] std::string codec() const;
    /// True when the file was changed since it was opened: its size, time, or first 96 bytes.
    [[nodiscard]] bool has_changed() const;

    [[nodiscard]] NodeId root() const noexcept;
    /// The object at `path`: "a/b", "/a/b/"; "" is the root. Symlinks are not followed, ".." is a
    /// name that is not there. Adds: not_found.
    Expected<Stat> stat(std::string_view path) const;
    Expected<Stat> stat(NodeId id) const;
    /// The object called `name` in a directory; a missing name is nothing, not an error.
    /// Adds: invalid_argument (`directory` is none, errno ENOTDIR).
    Expected<std::optional<Stat>> find(NodeId directory, std::string_view name) const;

    /// All entries of a directory, ascending by the bytes of their names. It can be large: `list`
    /// in parts when that matters. Adds: invalid_argument (not a directory, errno ENOTDIR).
    Expected<std::vector<DirectoryEntry>> list(NodeId directory) const;
    /// At most `count` entries from number `first` (0 is the first one) on; fewer only at the end.
    Expected<std::vector<DirectoryEntry>> list(NodeId directory, std::uint64_t first,
                                               std::size_t count) const;

    /// Fills `out` with the content of a file from byte `offset` on and returns how many bytes
    /// that were: less than `out` has only at the end of the file, 0 at or after it. After an
    /// error the content of `out` is unspecified.
    /// Adds: invalid_argument (not a regular file, errno EISDIR or EINVAL).
    Expected<std::size_t> read(NodeId file, std::uint64_t offset, std::span<std::byte> out) const;
    /// The first byte at or after `offset` that is not in a hole; nothing when there is none. A
    /// hole is a whole block that is not stored. Adds: as read().
    Expected<std::optional<std::uint64_t>> next_data(NodeId file, std::uint64_t offset) const;
    /// The first byte at or after `offset` that is in a hole, of which the end of the file is
    /// one; nothing when `offset` is at or after the end. Adds: as read().
    Expected<std::optional<std::uint64_t>> next_hole(NodeId file, std::uint64_t offset) const;

    /// The target, at most 4095 bytes. Adds: invalid_argument (not a symlink, errno EINVAL).
    Expected<std::string> read_link(NodeId symlink) const;

    /// Full names ("user.comment") of extended attributes, in stored order.
    /// Adds: limit (more than 64 KiB of names).
    Expected<std::vector<std::string>> xattr_names(NodeId id) const;
    /// The bytes of the attribute `name`, at most 64 KiB; nothing when the object has none.
    Expected<std::optional<std::string>> xattr(NodeId id, const std::string& name) const;

    /// Visits `start` and everything below it once per name, depth first, in the order of list().
    /// A directory that is found a second time is `corrupt`, so every walk ends. The calls come
    /// from this thread and may use the Image. `visitor.visit` must be set.
    Expected<void> walk(NodeId start, const WalkVisitor& visitor) const;

  private:
    struct Parts;
    explicit Image(std::unique_ptr<Parts> parts) noexcept;
    std::unique_ptr<Parts> parts_;
};

}  // namespace squenv
