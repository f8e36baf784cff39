// SPDX-License-Identifier: MIT
// xz and the older lzma ("alone") streams, both by liblzma.
#include <lzma.h>

#include <algorithm>
#include <string>

#include "base/little_endian.h"
#include "base/resource_pool.h"
#include "codec/registry.h"
#include "format/bounds.h"

namespace squenv::codec {

namespace {

/// unsquashfs stops at 32 MiB too; a valid 1 MiB block needs about 1.1 MiB.
constexpr std::uint64_t kMemoryLimit = 32U << 20;

struct EndStream {
    void operator()(lzma_stream* stream) const {
        lzma_end(stream);
        delete stream;
    }
};
using StreamPool = ResourcePool<lzma_stream, EndStream>;

lzma_stream* new_stream() {
    return new lzma_stream(LZMA_STREAM_INIT);
}

const char* reason(lzma_ret code) {
    switch (code) {
        case LZMA_MEMLIMIT_ERROR: return "needs more memory than a squashfs block may";
        case LZMA_FORMAT_ERROR: return "not such a stream";
        case LZMA_OPTIONS_ERROR: return "unsupported options";
        case LZMA_OK: return "longer than the block may be";
        default: return "damaged stream";
    }
}

/// `name` is that of the codec, `otherwise` the kind of failure that is not about memory.
tl::unexpected<Error> failure(const std::string& name, lzma_ret code, Errc otherwise) {
    if (code == LZMA_MEM_ERROR) return fail_memory(name);
    return fail(otherwise, name + ": " + reason(code));
}

enum class Container { xz, alone };

/// The length that the header of an "alone" stream promises; 0 when it is not known.
std::uint64_t alone_length(ByteView input) {
    constexpr std::size_t kLengthPosition = 5;
    if (input.size() < kLengthPosition + sizeof(Le64)) return 0;
    const std::uint64_t length = load<Le64>(input.subspan(kLengthPosition));
    return length == ~std::uint64_t{0} ? 0 : length;
}

class LzmaDecompressor final : public Decompressor {
  public:
    explicit LzmaDecompressor(Container container) : container_(container) {}

    Result<std::size_t> decompress(ByteView input, MutableBytes output) const override {
        const auto stream = streams_.borrow(new_stream);
        const char* name = container_ == Container::xz ? "xz" : "lzma";
        lzma_ret code = container_ == Container::xz
                            ? lzma_stream_decoder(stream.get(), kMemoryLimit, 0)
                            : lzma_alone_decoder(stream.get(), kMemoryLimit);
        if (code != LZMA_OK) return failure(name, code, Errc::limit);
        stream->next_in = reinterpret_cast<const std::uint8_t*>(input.data());
        stream->avail_in = input.size();
        stream->next_out = reinterpret_cast<std::uint8_t*>(output.data());
        stream->avail_out = output.size();
        code = lzma_code(stream.get(), LZMA_FINISH);
        const std::size_t produced = output.size() - stream->avail_out;
        // An "alone" stream of unknown length has no end the decoder could see.
        const bool is_whole = code == LZMA_STREAM_END ||
                              (container_ == Container::alone && produced == output.size() &&
                               (code == LZMA_OK || code == LZMA_BUF_ERROR));
        if (!is_whole) return failure(name, code, Errc::corrupt);
        if (container_ == Container::alone && alone_length(input) > output.size())
            return fail(Errc::corrupt, "lzma: longer than the block may be");
        return produced;
    }

  private:
    Container container_;
    mutable StreamPool streams_;
};

class LzmaCompressor final : public Compressor {
  public:
    LzmaCompressor(Container container, int level, std::size_t largest_block)
        : container_(container), level_(level), largest_block_(largest_block) {}

    Result<std::size_t> compress(ByteView input, MutableBytes output,
                                 BlockKind /*kind*/) const override {
        lzma_options_lzma options;
        if (lzma_lzma_preset(&options, static_cast<std::uint32_t>(level_)))
            return fail(Errc::internal, "xz: level");
        // The kernel sizes its window by the block size; metadata blocks have their own.
        options.dict_size = static_cast<std::uint32_t>(
            input.size() <= format::kMetadataSize ? format::kMetadataSize : largest_block_);
        const auto stream = streams_.borrow(new_stream);
        lzma_ret code = LZMA_OK;
        if (container_ == Container::xz) {
            const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options},
                                           {LZMA_VLI_UNKNOWN, nullptr}};
            code = lzma_stream_encoder(stream.get(), filters, LZMA_CHECK_CRC32);
        } else {
            code = lzma_alone_encoder(stream.get(), &options);
        }
        if (code != LZMA_OK) return failure("xz", code, Errc::limit);
        stream->next_in = reinterpret_cast<const std::uint8_t*>(input.data());
        stream->avail_in = input.size();
        stream->next_out = reinterpret_cast<std::uint8_t*>(output.data());
        stream->avail_out = output.size();
        code = lzma_code(stream.get(), LZMA_FINISH);
        if (code == LZMA_OK || code == LZMA_BUF_ERROR) return 0;
        if (code != LZMA_STREAM_END) return failure("xz", code, Errc::internal);
        const std::size_t produced = output.size() - stream->avail_out;
        // lzma_alone_encoder leaves the length unknown; readers want it.
        if (container_ == Container::alone && produced >= 13)
            for (std::size_t i = 0; i < 8; ++i)
                output[5 + i] = static_cast<std::byte>(std::uint64_t{input.size()} >> (8 * i));
        return produced;
    }

  private:
    Container container_;
    int level_;
    std::size_t largest_block_;
    mutable StreamPool streams_;
};

}  // namespace

std::unique_ptr<Decompressor> make_xz_decompressor() {
    return std::make_unique<LzmaDecompressor>(Container::xz);
}
std::unique_ptr<Decompressor> make_lzma_decompressor() {
    return std::make_unique<LzmaDecompressor>(Container::alone);
}
std::unique_ptr<Compressor> make_xz_compressor(int level, std::size_t largest_block) {
    return std::make_unique<LzmaCompressor>(Container::xz, level, largest_block);
}
std::unique_ptr<Compressor> make_lzma_compressor(int level, std::size_t largest_block) {
    return std::make_unique<LzmaCompressor>(Container::alone, level, largest_block);
}

}  // namespace squenv::codec
