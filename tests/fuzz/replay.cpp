// SPDX-License-Identifier: MIT
// Runs the fuzz target over the files of a directory and over generated images. With a second
// argument the generated images are written there instead, as seeds for libFuzzer.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "codec/codec.h"
#include "support/image_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using squenv::ByteVector;

std::vector<ByteVector> generated() {
    std::vector<ByteVector> images;
    for (std::uint16_t id = 1; id <= 6; ++id)
        for (const bool compress : {false, true}) {
            squenv::test::BuildOptions options;
            options.compressor = squenv::format::CompressorId{id};
            options.pad = false;
            options.compress_data = options.compress_metadata = compress;
            if (!squenv::codec::is_available(options.compressor)) continue;
            images.push_back(squenv::test::sample_tree(options).build().bytes);
        }
    squenv::test::BuildOptions options;
    options.pad = false;
    squenv::test::ImageBuilder tiny(options);
    tiny.file("f", "x");
    tiny.symlink("l", "f");
    images.push_back(tiny.build().bytes);
    return images;
}

void run(const ByteVector& bytes) {
    (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
    const auto images = generated();
    if (argc == 3) {
        for (std::size_t i = 0; i < images.size(); ++i)
            std::ofstream(std::filesystem::path(argv[2]) / ("seed-" + std::to_string(i)),
                          std::ios::binary)
                .write(reinterpret_cast<const char*>(images[i].data()),
                       static_cast<std::streamsize>(images[i].size()));
        return 0;
    }
    for (const auto& image : images) run(image);
    std::vector<std::filesystem::path> files;
    if (argc == 2 && std::filesystem::is_directory(argv[1]))
        for (const auto& entry : std::filesystem::directory_iterator(argv[1]))
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
        std::puts(path.filename().c_str());
        const auto bytes = std::as_bytes(std::span(text));
        run({bytes.begin(), bytes.end()});
    }
    std::printf("%zu generated images and %zu files\n", images.size(), files.size());
    return 0;
}
