// SPDX-License-Identifier: MIT
// Raw LZ4 blocks. Level 0 is the fast encoder, 1..12 the high-compression one.
#include <lz4.h>
#include <lz4hc.h>

#include <cstdlib>

#include "base/resource_pool.h"
#include "codec/registry.h"

namespace squenv::codec {

namespace {

struct FreeLz4State {
    void operator()(void* state) const { std::free(state); }
};

class Lz4Decompressor final : public Decompressor {
  public:
    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        const int size = LZ4_decompress_safe(
            reinterpret_cast<const char*>(input.data()), reinterpret_cast<char*>(output.data()),
            static_cast<int>(input.size()), static_cast<int>(output.size()));
        if (size < 0) return fail(Errc::corrupt, "lz4: damaged block");
        return static_cast<std::size_t>(size);
    }
};

class Lz4Compressor final : public Compressor {
  public:
    explicit Lz4Compressor(int level) : level_(level) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output,
                                 BlockKind /*kind*/) const override {
        const auto state = states_.borrow([this] {
            return std::malloc(
                static_cast<std::size_t>(level_ > 0 ? LZ4_sizeofStateHC() : LZ4_sizeofState()));
        });
        if (!state) return fail_memory("lz4");
        const auto* source = reinterpret_cast<const char*>(input.data());
        auto* target = reinterpret_cast<char*>(output.data());
        const auto source_size = static_cast<int>(input.size());
        const auto target_size = static_cast<int>(output.size());
        const int size = level_ > 0 ? LZ4_compress_HC_extStateHC(state.get(), source, target,
                                                                 source_size, target_size, level_)
                                    : LZ4_compress_fast_extState(state.get(), source, target,
                                                                 source_size, target_size, 1);
        return static_cast<std::size_t>(size);
    }

  private:
    int level_;
    mutable ResourcePool<void, FreeLz4State> states_;
};

}  // namespace

std::unique_ptr<Decompressor> make_lz4_decompressor() {
    return std::make_unique<Lz4Decompressor>();
}

std::unique_ptr<Compressor> make_lz4_compressor(int level) {
    return std::make_unique<Lz4Compressor>(level);
}

}  // namespace squenv::codec
