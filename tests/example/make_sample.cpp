// SPDX-License-Identifier: MIT
// make_sample IMAGE: an image with one of everything, for the example to read.
#include <cstdio>

#include "support/image_builder.h"

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const auto bytes = squenv::test::sample_tree().build().bytes;
    std::FILE* file = std::fopen(argv[1], "wb");
    if (file == nullptr) return 1;
    const bool is_written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    return std::fclose(file) == 0 && is_written ? 0 : 1;
}
