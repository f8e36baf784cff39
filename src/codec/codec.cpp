// SPDX-License-Identifier: MIT
#include "codec/codec.h"

#include <fmt/core.h>

#include "codec/registry.h"
#include "config.h"

namespace squenv::codec {

using format::CompressorId;

namespace {

tl::unexpected<Error> not_built(CompressorId id) {
    return fail(Errc::unsupported,
                fmt::format("this build of squenv has no {} support", format::compressor_name(id)),
                "install a build with it, or repack the image with zstd");
}

}  // namespace

bool is_available(CompressorId id) {
    switch (id) {
        // All the same where all codecs are built in. NOLINTNEXTLINE(bugprone-branch-clone)
        case CompressorId::zstd: return SQUENV_HAVE_ZSTD;
        case CompressorId::gzip: return SQUENV_HAVE_GZIP;
        case CompressorId::xz:
        case CompressorId::lzma: return SQUENV_HAVE_XZ;
        case CompressorId::lz4: return SQUENV_HAVE_LZ4;
        case CompressorId::lzo: return SQUENV_HAVE_LZO;
    }
    return false;
}

LevelRange level_range(CompressorId id) {
    switch (id) {
        case CompressorId::zstd: return {1, 22, 3};
        case CompressorId::gzip: return {1, 9, 9};
        case CompressorId::xz:
        case CompressorId::lzma: return {0, 9, 6};
        case CompressorId::lz4: return {0, 12, 0};
        case CompressorId::lzo: return {1, 9, 8};
    }
    return {};
}

Result<std::unique_ptr<Decompressor>> make_decompressor(CompressorId id) {
    switch (id) {
#if SQUENV_HAVE_ZSTD
        case CompressorId::zstd: return make_zstd_decompressor();
#endif
#if SQUENV_HAVE_GZIP
        case CompressorId::gzip: return make_gzip_decompressor();
#endif
#if SQUENV_HAVE_XZ
        case CompressorId::xz: return make_xz_decompressor();
        case CompressorId::lzma: return make_lzma_decompressor();
#endif
#if SQUENV_HAVE_LZ4
        case CompressorId::lz4: return make_lz4_decompressor();
#endif
#if SQUENV_HAVE_LZO
        case CompressorId::lzo: return make_lzo_decompressor();
#endif
        default: return not_built(id);
    }
}

Result<std::unique_ptr<Compressor>> make_compressor(CompressorId id, int level,
                                                    std::size_t largest_block) {
    const LevelRange range = level_range(id);
    if (level < range.lowest || level > range.highest)
        return fail(Errc::invalid_argument,
                    fmt::format("{} has levels {} to {}, not {}", format::compressor_name(id),
                                range.lowest, range.highest, level));
    switch (id) {
#if SQUENV_HAVE_ZSTD
        case CompressorId::zstd: return make_zstd_compressor(level);
#endif
#if SQUENV_HAVE_GZIP
        case CompressorId::gzip: return make_gzip_compressor(level);
#endif
#if SQUENV_HAVE_XZ
        case CompressorId::xz: return make_xz_compressor(level, largest_block);
        case CompressorId::lzma: return make_lzma_compressor(level, largest_block);
#endif
#if SQUENV_HAVE_LZ4
        case CompressorId::lz4: return make_lz4_compressor(level);
#endif
#if SQUENV_HAVE_LZO
        case CompressorId::lzo: return make_lzo_compressor(level);
#endif
        default: return not_built(id);
    }
}

}  // namespace squenv::codec
