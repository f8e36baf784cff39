// SPDX-License-Identifier: MIT
#include "repack/read_back.h"

#include <atomic>
#include <mutex>
#include <optional>

#include "base/threads.h"
#include "image/image.h"
#include "pack/content_hash.h"
#include "pack/threads.h"

namespace squenv::repack {

namespace {

/// A multiple of every block size.
constexpr std::uint64_t kHashedPiece = 1U << 20;

Result<pack::Hash128> hash_of(const image::Image& image, const image::Inode& file,
                              const pack::Expectation& expected) {
    pack::ContentHash hash(expected.hasher, expected.options.block_size);
    ByteVector piece;
    for (std::uint64_t offset = 0; offset < file.size_bytes; offset += kHashedPiece) {
        SQUENV_TRY_ASSIGN(const auto data,
                          image.data().seek(file, offset, image::FileData::Seek::data));
        if (!data) break;
        offset = *data - *data % kHashedPiece;
        SQUENV_TRY_ASSIGN(const auto slices, image.data().read(file, offset, kHashedPiece));
        piece.clear();
        for (const image::DataSlice& slice : slices) append(piece, slice.bytes);
        hash.add(offset, piece);
    }
    return hash.result();
}

Status check(const image::Image& image, const pack::Expectation& expected, std::uint32_t index) {
    const pack::Content& content = expected.contents.files[index];
    const std::string path = expected.tree.path_of(content.node);
    auto file = image.resolve(path);
    if (!file) return with_context(file.error(), path);
    const std::uint32_t stored = content.same_as == pack::kNoContent ? index : content.same_as;
    auto hash = hash_of(image, *file, expected);
    if (!hash) return with_context(hash.error(), path);
    if (file->size_bytes != content.size_bytes || *hash != expected.hashes[stored])
        return fail(Errc::corrupt, path + ": reads back differently from what was packed",
                    "check the memory and the disk of this machine, then pack again");
    return {};
}

}  // namespace

Status read_back(const std::string& path, const pack::Expectation& expected) {
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(path));
    std::atomic<std::uint32_t> next{0};
    std::mutex mutex;  // protects first
    std::optional<Error> first;
    std::atomic<bool> has_failed{false};
    run_on_threads(pack::compressor_threads(expected.options), [&] {
        for (std::uint32_t i = next++; i < expected.contents.files.size() && !has_failed;
             i = next++) {
            if (expected.contents.files[i].has_failed) continue;
            const Status status = pack::is_cancelled(expected.options) ? Status(pack::cancelled())
                                                                       : check(*image, expected, i);
            if (status) continue;
            std::lock_guard lock(mutex);
            if (!first) first = status.error();
            has_failed = true;
        }
    });
    if (first) return tl::unexpected(*first);
    return {};
}

}  // namespace squenv::repack
