// SPDX-License-Identifier: MIT
#include <zstd.h>
#include <zstd_errors.h>

#include <array>
#include <string>
#include <utility>

#include "base/resource_pool.h"
#include "codec/registry.h"

namespace squenv::codec {

namespace {

struct FreeZstdDecoder {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
struct FreeZstdEncoder {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// `code` says that there was an error.
tl::unexpected<Error> failure(std::size_t code, Errc otherwise) {
    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) return fail_memory("zstd");
    return fail(otherwise, std::string("zstd: ") + ZSTD_getErrorName(code));
}

class ZstdDecompressor final : public Decompressor {
  public:
    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        const auto context = contexts_.borrow(ZSTD_createDCtx);
        if (!context) return fail_memory("zstd");
        const std::size_t size = ZSTD_decompressDCtx(context.get(), output.data(), output.size(),
                                                     input.data(), input.size());
        if (ZSTD_isError(size) != 0) return failure(size, Errc::corrupt);
        return size;
    }

  private:
    mutable ResourcePool<ZSTD_DCtx, FreeZstdDecoder> contexts_;
};

/// What level 3 of libzstd leaves on the table for blocks of up to 128 KiB (measurements in
/// tools/bench/EXPERIMENTS.md). Hash tables of 512 KiB each instead of 256 and 128 KiB make all
/// blocks of an environment 6 % faster to compress and 0.2 % smaller. Machine code, half of the
/// level's time, gains least from its second table: without, it takes a quarter less and is 2 %
/// larger. Compiled modules pay for that: matched from four bytes on instead of five they are 2 %
/// smaller for 4 % more time. Larger blocks gain too little; tiny ones, of metadata, have
/// parameters of their own.
struct MediumBlocks {
    static constexpr int kLevel = 3;
    static constexpr std::size_t kLargerThan = 16U << 10;
    static constexpr std::size_t kLargest = 128U << 10;

    struct Parameters {
        ZSTD_strategy strategy;
        int hash_log;
        int chain_log;  ///< of the second table
        int min_match;  ///< bytes
    };
    static constexpr Parameters of(BlockKind kind) {
        switch (kind) {
            case BlockKind::machine_code: return {ZSTD_fast, 18, 17, 5};
            case BlockKind::bytecode: return {ZSTD_dfast, 17, 17, 4};
            case BlockKind::other: break;
        }
        return {ZSTD_dfast, 17, 17, 5};
    }

    static bool has(int level, std::size_t size_bytes) {
        return level == kLevel && size_bytes > kLargerThan && size_bytes <= kLargest;
    }
    /// The size of the result or a libzstd error, as of ZSTD_compressCCtx.
    static std::size_t compress(ZSTD_CCtx* context, MutableBytes output, ByteView input,
                                BlockKind kind) {
        const Parameters chosen = of(kind);
        const std::array<std::pair<ZSTD_cParameter, int>, 5> parameters{
            {{ZSTD_c_compressionLevel, kLevel},
             {ZSTD_c_strategy, chosen.strategy},
             {ZSTD_c_hashLog, chosen.hash_log},
             {ZSTD_c_chainLog, chosen.chain_log},
             {ZSTD_c_minMatch, chosen.min_match}}};
        // Every time: ZSTD_compressCCtx forgets what was set.
        for (const auto& [parameter, value] : parameters)
            if (const std::size_t code = ZSTD_CCtx_setParameter(context, parameter, value);
                ZSTD_isError(code) != 0)
                return code;
        return ZSTD_compress2(context, output.data(), output.size(), input.data(), input.size());
    }
};

class ZstdCompressor final : public Compressor {
  public:
    explicit ZstdCompressor(int level) : level_(level) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output,
                                 BlockKind kind) const override {
        const auto context = contexts_.borrow(ZSTD_createCCtx);
        if (!context) return fail_memory("zstd");
        const std::size_t size =
            MediumBlocks::has(level_, input.size())
                ? MediumBlocks::compress(context.get(), output, input, kind)
                : ZSTD_compressCCtx(context.get(), output.data(), output.size(), input.data(),
                                    input.size(), level_);
        if (ZSTD_isError(size) == 0) return size;
        if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall) return 0;
        return failure(size, Errc::internal);
    }

  private:
    int level_;
    mutable ResourcePool<ZSTD_CCtx, FreeZstdEncoder> contexts_;
};

}  // namespace

std::unique_ptr<Decompressor> make_zstd_decompressor() {
    return std::make_unique<ZstdDecompressor>();
}

std::unique_ptr<Compressor> make_zstd_compressor(int level) {
    return std::make_unique<ZstdCompressor>(level);
}

}  // namespace squenv::codec
