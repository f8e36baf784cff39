// SPDX-License-Identifier: MIT
// Squashfs "gzip" blocks are zlib streams (RFC 1950). libdeflate decodes and encodes whole blocks
// about twice as fast as zlib.
#include <libdeflate.h>

#include "base/resource_pool.h"
#include "codec/registry.h"

namespace squenv::codec {

namespace {

struct FreeGzipDecoder {
    void operator()(libdeflate_decompressor* context) const {
        libdeflate_free_decompressor(context);
    }
};
struct FreeGzipEncoder {
    void operator()(libdeflate_compressor* context) const { libdeflate_free_compressor(context); }
};

class GzipDecompressor final : public Decompressor {
  public:
    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        const auto context = contexts_.borrow(libdeflate_alloc_decompressor);
        if (!context) return fail_memory("gzip");
        std::size_t consumed = 0;
        std::size_t produced = 0;
        // The _ex form accepts bytes after the stream, as every other reader does.
        const auto result =
            libdeflate_zlib_decompress_ex(context.get(), input.data(), input.size(), output.data(),
                                          output.size(), &consumed, &produced);
        switch (result) {
            case LIBDEFLATE_SUCCESS: return produced;
            case LIBDEFLATE_INSUFFICIENT_SPACE:
                return fail(Errc::corrupt, "gzip: longer than the block may be");
            default: return fail(Errc::corrupt, "gzip: damaged stream");
        }
    }

  private:
    mutable ResourcePool<libdeflate_decompressor, FreeGzipDecoder> contexts_;
};

class GzipCompressor final : public Compressor {
  public:
    explicit GzipCompressor(int level) : level_(level) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output,
                                 BlockKind /*kind*/) const override {
        const auto context =
            contexts_.borrow([this] { return libdeflate_alloc_compressor(level_); });
        if (!context) return fail_memory("gzip");
        return libdeflate_zlib_compress(context.get(), input.data(), input.size(), output.data(),
                                        output.size());
    }

  private:
    int level_;
    mutable ResourcePool<libdeflate_compressor, FreeGzipEncoder> contexts_;
};

}  // namespace

std::unique_ptr<Decompressor> make_gzip_decompressor() {
    return std::make_unique<GzipDecompressor>();
}

std::unique_ptr<Compressor> make_gzip_compressor(int level) {
    return std::make_unique<GzipCompressor>(level);
}

}  // namespace squenv::codec
