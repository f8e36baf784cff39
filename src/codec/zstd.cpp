// SPDX-License-Identifier: MIT
#include <zstd.h>
#include <zstd_errors.h>

#include <string>

#include "base/resource_pool.h"
#include "codec/registry.h"

namespace squenv::codec {

namespace {

struct FreeDecoder {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
struct FreeEncoder {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdDecompressor final : public Decompressor {
  public:
    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        const auto context = contexts_.borrow(ZSTD_createDCtx);
        if (!context) return fail(Errc::limit, "zstd: no memory for a decoder");
        const std::size_t size = ZSTD_decompressDCtx(context.get(), output.data(), output.size(),
                                                     input.data(), input.size());
        if (ZSTD_isError(size) != 0)
            return fail(Errc::corrupt, std::string("zstd: ") + ZSTD_getErrorName(size));
        return size;
    }

  private:
    mutable ResourcePool<ZSTD_DCtx, FreeDecoder> contexts_;
};

class ZstdCompressor final : public Compressor {
  public:
    explicit ZstdCompressor(int level) : level_(level) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output) const override {
        const auto context = contexts_.borrow(ZSTD_createCCtx);
        if (!context) return fail(Errc::limit, "zstd: no memory for an encoder");
        const std::size_t size = ZSTD_compressCCtx(context.get(), output.data(), output.size(),
                                                   input.data(), input.size(), level_);
        if (ZSTD_isError(size) == 0) return size;
        if (ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall) return 0;
        return fail(Errc::internal, std::string("zstd: ") + ZSTD_getErrorName(size));
    }

  private:
    int level_;
    mutable ResourcePool<ZSTD_CCtx, FreeEncoder> contexts_;
};

}  // namespace

std::unique_ptr<Decompressor> make_zstd_decompressor() {
    return std::make_unique<ZstdDecompressor>();
}

std::unique_ptr<Compressor> make_zstd_compressor(int level) {
    return std::make_unique<ZstdCompressor>(level);
}

}  // namespace squenv::codec
