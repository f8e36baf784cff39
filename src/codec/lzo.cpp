// SPDX-License-Identifier: MIT
// Raw LZO1X blocks. liblzo2 is GPL: a build with it is distributed under the GPL.
#include <lzo/lzo1x.h>

#include <cstdlib>
#include <vector>

#include "base/resource_pool.h"
#include "codec/registry.h"

namespace squenv::codec {

namespace {

struct FreeLzoState {
    void operator()(void* state) const { std::free(state); }
};

class LzoDecompressor final : public Decompressor {
  public:
    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        lzo_uint size = output.size();
        const int code = lzo1x_decompress_safe(
            reinterpret_cast<const unsigned char*>(input.data()), input.size(),
            reinterpret_cast<unsigned char*>(output.data()), &size, nullptr);
        if (code != LZO_E_OK) return fail(Errc::corrupt, "lzo: damaged block");
        return size;
    }
};

class LzoCompressor final : public Compressor {
  public:
    explicit LzoCompressor(int level) : level_(level) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output,
                                 BlockKind /*kind*/) const override {
        const auto state = states_.borrow([] { return std::malloc(LZO1X_999_MEM_COMPRESS); });
        if (!state) return fail_memory("lzo");
        // LZO does not check the room it writes to: the worst case it documents.
        std::vector<unsigned char> room(input.size() + input.size() / 16 + 64 + 3);
        lzo_uint size = 0;
        const int code = lzo1x_999_compress_level(
            reinterpret_cast<const unsigned char*>(input.data()), input.size(), room.data(), &size,
            state.get(), nullptr, 0, nullptr, level_);
        if (code != LZO_E_OK) return fail(Errc::internal, "lzo: compression failed");
        if (size > output.size()) return 0;
        std::memcpy(output.data(), room.data(), size);
        return size;
    }

  private:
    int level_;
    mutable ResourcePool<void, FreeLzoState> states_;
};

}  // namespace

std::unique_ptr<Decompressor> make_lzo_decompressor() {
    return std::make_unique<LzoDecompressor>();
}

std::unique_ptr<Compressor> make_lzo_compressor(int level) {
    return std::make_unique<LzoCompressor>(level);
}

}  // namespace squenv::codec
