// SPDX-License-Identifier: MIT
// Any bytes as an image: opened, walked, everything read.
#include "codec/codec.h"
#include "support/image_builder.h"
#include "support/reading.h"
#include "target.h"

namespace squenv::fuzz {

std::vector<ByteVector> seeds() {
    std::vector<ByteVector> images;
    for (std::uint16_t id = 1; id <= 6; ++id)
        for (const bool compress : {false, true}) {
            test::BuildOptions options;
            options.compressor = format::CompressorId{id};
            options.pad = false;
            options.compress_data = options.compress_metadata = compress;
            if (!codec::is_available(options.compressor)) continue;
            images.push_back(test::sample_tree(options).build().bytes);
        }
    test::BuildOptions options;
    options.pad = false;
    test::ImageBuilder tiny(options);
    tiny.file("f", "x");
    tiny.symlink("l", "f");
    images.push_back(tiny.build().bytes);
    return images;
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = squenv::fuzz::view(data, size);
    (void)squenv::test::exercise({bytes.begin(), bytes.end()});
    return 0;
}
