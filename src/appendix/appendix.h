// SPDX-License-Identifier: MIT
// The optional appendix after an image: where it wants to be mounted, what was packed, which files
// are hot, and digests of everything stored. Readers of squashfs ignore what follows bytes_used, so
// the image in front stays a standard one. man/squenv-image.5 documents the bytes.
#pragma once

#include <squenv/creation.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256.h"

namespace squenv::appendix {

/// What the packer says about the tree. Empty strings are facts that do not apply.
struct Manifest {
    std::string mount_point;   ///< absolute path the tree had; where the image wants to be mounted
    std::string tool_version;  ///< of the squenv that packed it
    std::string codec;         ///< "zstd", ...
    int level = 0;
    std::uint32_t block_size = 0;
    std::string python_version;  ///< of the environment, when it is one
    std::string python_home;     ///< directory of the interpreter the environment was made from
    bool is_relocatable = false;
    /// Whether an overlay file system above the image shows all of it; older packers do not say.
    std::optional<bool> fits_overlay;
    Creation creation;  ///< empty unless the tree was made by `squenv create`
    bool operator==(const Manifest&) const = default;
};

/// Bounds of a creation in a manifest; what is beyond is left out. Every byte of a text may take
/// six in JSON, and a manifest has at most 1 MiB.
inline constexpr std::size_t kMaxCreationBytes = 128U << 10;
inline constexpr std::size_t kMaxCreationItems = 64;

/// A range of the image and the SHA-256 of its stored bytes: a data block, a fragment block, or a
/// piece of the metadata.
struct BlockDigest {
    std::uint64_t position = 0;
    std::uint32_t size_bytes = 0;
    Sha256 digest{};
    bool operator==(const BlockDigest&) const = default;
};

/// Something that is needed early when the tree is used.
struct HotItem {
    enum class Kind : std::uint8_t {
        range = 0,      ///< bytes of a regular file
        directory = 1,  ///< its listing, or the attributes of what is in it
        missing = 2,    ///< a name that is looked for and is not there
    };
    Kind kind = Kind::range;
    std::string path{};            ///< not for ranges; relative to the root, which is "."
    std::uint64_t reference = 0;   ///< ranges: of the inode, raw
    std::uint64_t offset = 0;      ///< ranges: in the file
    std::uint64_t size_bytes = 0;  ///< ranges
    bool operator==(const HotItem&) const = default;
};

/// What a recorder keeps, a packer writes and a reader takes of a hot list; what is beyond is left
/// out. The import of six large packages has 6,000 items in 50 KiB. With these bounds no list makes
/// a daemon 20 MiB larger: it holds an item, of 64 bytes, twice while it plans, and
/// prefetch/recorded_blocks.h adds 10 MiB at most.
inline constexpr std::size_t kMaxHotItems = 1U << 16;
inline constexpr std::size_t kMaxHotListBytes = 2U << 20;

struct Appendix {
    Manifest manifest;
    std::vector<HotItem> hot;          ///< in the order in which it is needed, see kMaxHotItems
    std::vector<BlockDigest> digests;  ///< by position; ranges do not overlap
    bool operator==(const Appendix&) const = default;
};

inline constexpr std::size_t kHeaderSize = 80;

/// What the header promises. All sizes are in bytes and bounded (see the .cpp for the reasons).
struct Header {
    std::uint64_t manifest_size = 0;
    std::uint64_t hot_list_size = 0;
    std::uint64_t digests_size = 0;
    Sha256 digest{};  ///< of the header with this field zero, followed by the sections

    [[nodiscard]] std::uint64_t body_size() const {
        return manifest_size + hot_list_size + digests_size;
    }
};

/// Header and sections, without padding. `appendix.digests` are sorted by position.
[[nodiscard]] ByteVector encode(const Appendix& appendix);

/// Nothing when `bytes` do not begin with the magic of an appendix.
/// Errors: unsupported (a later version), corrupt (sizes beyond the caps).
[[nodiscard]] Result<std::optional<Header>> parse_header(ByteView bytes);

/// `bytes` are a whole appendix as encode() makes it. Errors: unsupported, corrupt.
[[nodiscard]] Result<Appendix> parse(ByteView bytes);

/// Fills the bytes from a position of the image on, or fails.
using ReadExact = std::function<Status(std::uint64_t position, MutableBytes out)>;

/// Where the appendix of an image of `bytes_used` bytes begins.
[[nodiscard]] std::uint64_t position_of(std::uint64_t bytes_used);

/// Reads the appendix of an image of `bytes_used` bytes in a file that has `image_bytes` from the
/// start of the image on; nothing when there is none. Errors: as parse(), and those of `read`.
[[nodiscard]] Result<std::optional<Appendix>> load(std::uint64_t bytes_used,
                                                   std::uint64_t image_bytes,
                                                   const ReadExact& read);

/// Only the manifest, in a time that does not depend on the size of the image. Its digest is not
/// compared, because that covers everything: load() does. Errors: as load().
[[nodiscard]] Result<std::optional<Manifest>> load_manifest(std::uint64_t bytes_used,
                                                            std::uint64_t image_bytes,
                                                            const ReadExact& read);

/// Only the hot list, in one read when it is short; empty when there is none. Its digest is not
/// compared either: a wrong list causes useless work ahead, no wrong answer.
/// Errors: as load().
[[nodiscard]] Result<std::vector<HotItem>> load_hot_list(std::uint64_t bytes_used,
                                                         std::uint64_t image_bytes,
                                                         const ReadExact& read);

}  // namespace squenv::appendix
