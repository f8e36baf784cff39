// SPDX-License-Identifier: MIT
// Compressed streams that other readers disagree about: exactly the content, or EIO.
#include "config.h"

#if SQUENV_HAVE_GZIP
#include <libdeflate.h>
#endif
#if SQUENV_HAVE_XZ
#include <lzma.h>
#endif
#if SQUENV_HAVE_ZSTD
#include <zstd.h>
#endif

#include "rows.h"

namespace squenv::test {
namespace {

using format::CompressorId;

/// The block that every stream here is meant to be.
std::string plain() {
    std::string text(4096, 'x');
    for (std::size_t i = 0; i < text.size(); i += 7) text[i] = static_cast<char>('a' + i % 26);
    return text;
}

/// Replaces the only block of a file by `stream` and reads the file.
Result<std::string> read_stream(CompressorId compressor, const std::string& stream) {
    BuildOptions options;
    options.compressor = compressor;
    ImageBuilder builder(options);
    builder.file("f", pattern(4096, 1));
    builder.file("neighbour", "fine");
    auto built = builder.build();
    if (stream.size() > 4096) return fail(Errc::internal, "the stream is too long for the test");
    const auto start = built.get("inode:f.start");
    std::memcpy(built.bytes.data() + start, stream.data(), stream.size());
    built.set("word:f#0", stream.size());
    const auto image = open_image(built);
    if (!image) return fail(Errc::internal, image.error().message());
    EXPECT_EQ(read_file(**image, "neighbour").value(), "fine");
    return read_file(**image, "f");
}

void expect_content(CompressorId compressor, const std::string& stream) {
    const auto read = read_stream(compressor, stream);
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, plain());
}
void expect_eio(CompressorId compressor, const std::string& stream) {
    const auto read = read_stream(compressor, stream);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::corrupt) << read.error().message();
}
/// Readers differ; ours may do either, but never hand out anything else.
void expect_content_or_eio(CompressorId compressor, const std::string& stream) {
    const auto read = read_stream(compressor, stream);
    if (read)
        EXPECT_EQ(*read, plain());
    else
        EXPECT_EQ(to_errno(read.error()), EIO) << read.error().message();
}

class AnyCompressor : public testing::TestWithParam<CompressorId> {
  protected:
    void SetUp() override {
        if (!codec::is_available(GetParam())) GTEST_SKIP() << "this build lacks its library";
    }
    static std::string pack(const std::string& text) {
        const auto compressor =
            codec::make_compressor(GetParam(), codec::level_range(GetParam()).preset, 4096);
        std::string packed(text.size() + 4096, '\0');
        const auto size =
            (*compressor)->compress(as_bytes(text), std::as_writable_bytes(std::span(packed)));
        packed.resize(size.value());
        return packed;
    }
};

TEST_P(AnyCompressor, TheBlockItself) {
    expect_content(GetParam(), pack(plain()));
}
TEST_P(AnyCompressor, ShorterOutputThanTheBlock) {
    expect_eio(GetParam(), pack(plain().substr(1)));
    expect_eio(GetParam(), pack(plain().substr(0, 10)));
}
TEST_P(AnyCompressor, LongerOutputThanTheBlock) {
    // An lzma stream of known length tells that it is longer.
    expect_eio(GetParam(), pack(plain() + "x"));
    expect_eio(GetParam(), pack(plain() + plain()));
}
TEST_P(AnyCompressor, TrailingGarbage) {
    expect_content_or_eio(GetParam(), pack(plain()) + std::string(20, '\xA5'));
    expect_content_or_eio(GetParam(), pack(plain()) + '\0');
}
TEST_P(AnyCompressor, TwoStreams) {
    expect_content_or_eio(GetParam(), pack(plain()) + pack(plain()));
    expect_content_or_eio(GetParam(), pack(plain().substr(0, 2000)) + pack(plain().substr(2000)));
}
TEST_P(AnyCompressor, Truncated) {
    const auto stream = pack(plain());
    for (std::size_t size = 1; size + 4 < stream.size(); size += 3)
        expect_eio(GetParam(), stream.substr(0, size));
}
TEST_P(AnyCompressor, ZeroBytes) {
    const auto read = read_stream(GetParam(), std::string(100, '\0'));
    ASSERT_FALSE(read);
    EXPECT_EQ(to_errno(read.error()), EIO);
}
TEST_P(AnyCompressor, Noise) {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        const auto read = read_stream(GetParam(), pattern(50 + seed, seed));
        if (!read) {
            EXPECT_EQ(to_errno(read.error()), EIO) << read.error().message();
        }
    }
}
INSTANTIATE_TEST_SUITE_P(All, AnyCompressor,
                         testing::Values(CompressorId::gzip, CompressorId::lzma, CompressorId::lzo,
                                         CompressorId::xz, CompressorId::lz4, CompressorId::zstd),
                         [](const auto& row) {
                             return std::string(format::compressor_name(row.param));
                         });

#if SQUENV_HAVE_GZIP
std::string deflate(decltype(&libdeflate_zlib_compress) compress) {
    auto* context = libdeflate_alloc_compressor(6);
    std::string out(8192, '\0');
    const auto text = plain();
    out.resize(compress(context, text.data(), text.size(), out.data(), out.size()));
    libdeflate_free_compressor(context);
    return out;
}
TEST(Gzip, RawDeflateIsRefused) {
    expect_eio(CompressorId::gzip, deflate(libdeflate_deflate_compress));
}
TEST(Gzip, GzipHeaderIsRefused) {
    expect_eio(CompressorId::gzip, deflate(libdeflate_gzip_compress));
}
TEST(Gzip, WrongAdlerIsRefused) {
    auto stream = deflate(libdeflate_zlib_compress);
    stream.back() = static_cast<char>(stream.back() ^ 1);
    expect_eio(CompressorId::gzip, stream);
}
TEST(Gzip, TrailingBytesAreAcceptedAsEverywhere) {
    expect_content(CompressorId::gzip, deflate(libdeflate_zlib_compress) + "garbage");
}
#endif

#if SQUENV_HAVE_XZ
std::string xz(lzma_check check, std::uint32_t dictionary, bool has_delta = false,
               lzma_vli branch = LZMA_VLI_UNKNOWN) {
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 6);
    options.dict_size = dictionary;
    lzma_options_delta delta{};
    delta.type = LZMA_DELTA_TYPE_BYTE;
    delta.dist = 1;
    lzma_filter filters[3];
    std::size_t count = 0;
    if (has_delta) filters[count++] = {LZMA_FILTER_DELTA, &delta};
    if (branch != LZMA_VLI_UNKNOWN) filters[count++] = {branch, nullptr};
    filters[count++] = {LZMA_FILTER_LZMA2, &options};
    filters[count] = {LZMA_VLI_UNKNOWN, nullptr};
    const auto text = plain();
    std::string out(16384, '\0');
    std::size_t size = 0;
    const auto code = lzma_stream_buffer_encode(
        filters, check, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
        reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size());
    EXPECT_EQ(code, LZMA_OK);
    out.resize(size);
    return out;
}
TEST(Xz, ChecksThatUserSpaceReadersKnow) {
    for (const auto check :
         {LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256})
        expect_content_or_eio(CompressorId::xz, xz(check, 8192));
    expect_content(CompressorId::xz, xz(LZMA_CHECK_NONE, 8192));
    expect_content(CompressorId::xz, xz(LZMA_CHECK_CRC32, 8192));
}
TEST(Xz, WrongCheckIsRefused) {
    auto stream = xz(LZMA_CHECK_CRC32, 8192);
    // The check is in front of the index (8 bytes or more) and the footer (12 bytes).
    for (std::size_t back = 21; back < 28; ++back) {
        auto damaged = stream;
        damaged[damaged.size() - back] = static_cast<char>(damaged[damaged.size() - back] ^ 0x10);
        expect_eio(CompressorId::xz, damaged);
    }
}
TEST(Xz, LargerWindowsAreReadUpToTheMemoryLimit) {
    expect_content(CompressorId::xz, xz(LZMA_CHECK_CRC32, 8U << 20));
    const auto read = read_stream(CompressorId::xz, xz(LZMA_CHECK_CRC32, 256U << 20));
    ASSERT_FALSE(read);
    EXPECT_EQ(to_errno(read.error()), EIO);
}
TEST(Xz, BranchFiltersNeedNoOptionBlock) {
    expect_content(CompressorId::xz, xz(LZMA_CHECK_CRC32, 8192, false, LZMA_FILTER_X86));
}
TEST(Xz, DeltaFilterIsContentOrEio) {
    expect_content_or_eio(CompressorId::xz, xz(LZMA_CHECK_CRC32, 8192, true));
}
TEST(Lzma, AHugeDictionaryIsRefused) {
    // Properties, dictionary of 1 GiB, length 4096, and nothing behind.
    std::string stream("\x5D\x00\x00\x00\x40", 5);
    stream += std::string("\x00\x10\0\0\0\0\0\0", 8) + std::string(40, '\0');
    const auto read = read_stream(CompressorId::lzma, stream);
    ASSERT_FALSE(read);
    EXPECT_EQ(to_errno(read.error()), EIO);
}
#endif

#if SQUENV_HAVE_ZSTD
std::string zstd(bool has_content_size, bool has_checksum, int window_log) {
    auto* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, has_content_size ? 1 : 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, has_checksum ? 1 : 0);
    if (window_log != 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    std::string out(16384, '\0');
    const auto text = plain();
    // In two steps, as a streaming encoder that does not know the length.
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    ZSTD_inBuffer first{text.data(), 1000, 0};
    ZSTD_inBuffer second{text.data() + 1000, text.size() - 1000, 0};
    if (has_content_size) ZSTD_CCtx_setPledgedSrcSize(context, text.size());
    EXPECT_EQ(ZSTD_isError(ZSTD_compressStream2(context, &output, &first, ZSTD_e_flush)), 0U);
    EXPECT_EQ(ZSTD_compressStream2(context, &output, &second, ZSTD_e_end), 0U);
    ZSTD_freeCCtx(context);
    out.resize(output.pos);
    return out;
}
const std::string kSkippable("\x50\x2A\x4D\x18\x04\0\0\0abcd", 12);

TEST(Zstd, FramesOfStreamingEncodersAreRead) {
    expect_content(CompressorId::zstd, zstd(true, false, 0));
    expect_content(CompressorId::zstd, zstd(false, false, 0));
    expect_content(CompressorId::zstd, zstd(false, true, 21));
}
TEST(Zstd, WindowsTooLargeForAnyBlock) {
    // One-shot decoding needs no window: nothing is allocated for it.
    expect_content_or_eio(CompressorId::zstd, zstd(false, false, 27));
}
TEST(Zstd, WrongChecksumIsRefused) {
    auto stream = zstd(true, true, 0);
    stream.back() = static_cast<char>(stream.back() ^ 1);
    expect_eio(CompressorId::zstd, stream);
}
TEST(Zstd, SkippableFrames) {
    expect_content_or_eio(CompressorId::zstd, kSkippable + zstd(true, false, 0));
    expect_content_or_eio(CompressorId::zstd, zstd(true, false, 0) + kSkippable);
    expect_eio(CompressorId::zstd, kSkippable);
}
TEST(Zstd, ContentSizeThatLies) {
    auto stream = zstd(true, false, 0);
    // Frame header: magic, descriptor, window, content size of 2 bytes.
    for (std::size_t at = 4; at < 10; ++at) {
        auto damaged = stream;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x11);
        expect_content_or_eio(CompressorId::zstd, damaged);
    }
}
#endif

}  // namespace
}  // namespace squenv::test
