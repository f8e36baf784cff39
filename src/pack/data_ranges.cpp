// SPDX-License-Identifier: MIT
#include "pack/data_ranges.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/checked.h"

namespace squenv::pack {

namespace {

using Ranges = std::vector<DataRange>;

/// These answer from their own map of the file's blocks. A network file system says what a server
/// or a cache believes, of holes as of allocated blocks; overlay and FUSE may be of any kind below.
constexpr std::array<std::uint32_t, 4> kKnownFileSystems{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
                                                         BTRFS_SUPER_MAGIC, TMPFS_MAGIC};
/// Files are read in pieces of this size.
constexpr std::uint64_t kSmallestHole = 1U << 20;
/// To find out where so many are takes as long as reading what is between them.
constexpr std::size_t kMostRanges = 1U << 16;
/// Asked for at a time.
constexpr std::uint32_t kExtents = 256;

/// The size of a file and of its blocks, in bytes.
struct Allocation {
    std::uint64_t size = 0;
    std::uint64_t allocated = 0;
    std::uint64_t block = 0;  ///< 0 where the file system is not known
};

Allocation allocation_of(int file) {
    Allocation allocation;
    struct stat info {};
    struct statfs system {};
    if (::fstat(file, &info) != 0) return allocation;
    allocation.size = static_cast<std::uint64_t>(info.st_size);
    allocation.allocated = static_cast<std::uint64_t>(info.st_blocks) * 512;
    if (::fstatfs(file, &system) != 0 || system.f_bsize <= 0) return allocation;
    const auto type = static_cast<std::uint32_t>(system.f_type);
    if (std::find(kKnownFileSystems.begin(), kKnownFileSystems.end(), type) !=
        kKnownFileSystems.end())
        allocation.block = static_cast<std::uint64_t>(system.f_bsize);
    return allocation;
}

/// What lseek(2) calls data; nothing when it fails, or there is too much of it.
std::optional<Ranges> data_by_seeking(int file, std::uint64_t size) {
    Ranges ranges;
    for (std::uint64_t at = 0; at < size;) {
        const off_t data = ::lseek(file, static_cast<off_t>(at), SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;
        if (data < static_cast<off_t>(at)) return std::nullopt;
        const off_t hole = ::lseek(file, data, SEEK_HOLE);
        if (hole <= data || ranges.size() == kMostRanges) return std::nullopt;
        at = static_cast<std::uint64_t>(hole);
        ranges.push_back({static_cast<std::uint64_t>(data), at});
    }
    return ranges;
}

/// Everything that has a block, written or not, also beyond the end of the file; nothing when the
/// file system cannot say that, as tmpfs, or there is too much of it.
std::optional<Ranges> data_by_blocks(int file) {
    constexpr std::size_t kHead = sizeof(struct fiemap);
    alignas(struct fiemap) std::array<std::byte, kHead + kExtents * sizeof(struct fiemap_extent)>
        request{};
    Ranges ranges;
    for (std::uint64_t at = 0;;) {
        struct fiemap head;
        std::memset(&head, 0, kHead);
        head.fm_start = at;
        head.fm_length = FIEMAP_MAX_OFFSET - at;
        head.fm_flags = FIEMAP_FLAG_SYNC;
        head.fm_extent_count = kExtents;
        std::memcpy(request.data(), &head, kHead);
        if (::ioctl(file, FS_IOC_FIEMAP, request.data()) != 0) return std::nullopt;
        std::memcpy(&head, request.data(), kHead);
        if (head.fm_mapped_extents == 0) return ranges;
        for (std::size_t i = 0; i < std::min(head.fm_mapped_extents, kExtents); ++i) {
            const auto extent = load<struct fiemap_extent>(
                ByteView(request).subspan(kHead + i * sizeof(struct fiemap_extent)));
            const std::uint64_t end = extent.fe_logical + extent.fe_length;
            if (end <= at || ranges.size() == kMostRanges) return std::nullopt;
            ranges.push_back({extent.fe_logical, end});
            at = end;
            if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return ranges;
        }
    }
}

/// Bytes of all blocks that the ranges touch.
std::uint64_t in_blocks(const Ranges& ranges, std::uint64_t block) {
    std::uint64_t sum = 0;
    for (const DataRange& range : ranges)
        sum += (ceil_div(range.end, block) - range.begin / block) * block;
    return sum;
}

/// Sorted, inside the file, and without small holes.
Ranges joined(Ranges ranges, std::uint64_t size) {
    std::sort(ranges.begin(), ranges.end(),
              [](const DataRange& a, const DataRange& b) { return a.begin < b.begin; });
    Ranges all;
    for (DataRange range : ranges) {
        range.end = std::min(range.end, size);
        if (range.begin >= range.end) continue;
        if (all.empty() || range.begin > all.back().end + kSmallestHole)
            all.push_back(range);
        else
            all.back().end = std::max(all.back().end, range.end);
    }
    return all;
}

}  // namespace

std::vector<DataRange> data_ranges(int file) {
    const Allocation allocation = allocation_of(file);
    const Ranges whole{{0, allocation.size}};
    if (allocation.block == 0) return whole;
    auto ranges = data_by_seeking(file, allocation.size);
    if (!ranges) return whole;
    if (in_blocks(*ranges, allocation.block) < allocation.allocated) {
        // The rest is the file system's own (the map of the blocks, attributes), or room without
        // data, or data that was called a hole. The map of the blocks tells.
        const auto mapped = data_by_blocks(file);
        if (!mapped) return whole;
        // A leaf and a node above it for each extent, and one for the attributes, are the most
        // that the file system may have for itself.
        const std::uint64_t own = (2 * std::uint64_t{mapped->size()} + 1) * allocation.block;
        if (in_blocks(*mapped, allocation.block) + own < allocation.allocated) return whole;
        ranges->insert(ranges->end(), mapped->begin(), mapped->end());
    }
    return joined(std::move(*ranges), allocation.size);
}

}  // namespace squenv::pack
