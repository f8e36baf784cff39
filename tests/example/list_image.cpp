// SPDX-License-Identifier: MIT
// list_image IMAGE: what is in an image, read with the library alone. Compiles with
//   c++ -std=c++20 list_image.cpp $(pkg-config --cflags --libs squenv)
#include <squenv/image.h>

#include <array>
#include <cstdio>

namespace {

/// Bytes read to the end of the file, or the error.
squenv::Expected<std::uint64_t> read_all(const squenv::Image& image, squenv::NodeId file) {
    std::array<std::byte, 65536> buffer;
    std::uint64_t total = 0;
    for (;;) {
        const auto count = image.read(file, total, buffer);
        if (!count) return count.error();
        if (*count == 0) return total;
        total += *count;
    }
}

squenv::Expected<void> print(const squenv::Image& image, const std::string& path,
                             const squenv::Stat& stat) {
    std::printf("%04o %u:%u /%s", stat.permissions, stat.uid, stat.gid, path.c_str());
    if (stat.type == squenv::FileType::file) {
        const auto bytes = read_all(image, stat.id);
        if (!bytes) return bytes.error();
        std::printf(" %llu bytes", static_cast<unsigned long long>(*bytes));
    } else if (stat.type == squenv::FileType::symlink) {
        const auto target = image.read_link(stat.id);
        if (!target) return target.error();
        std::printf(" -> %s", target->c_str());
    }
    const auto names = image.xattr_names(stat.id);
    if (!names) return names.error();
    for (const auto& name : *names) std::printf(" %s", name.c_str());
    std::printf("\n");
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: list_image IMAGE\n");
        return 2;
    }
    const auto image = squenv::Image::open(argv[1]);
    if (!image) {
        std::fprintf(stderr, "list_image: %s\n", image.error().message().c_str());
        return 1;
    }
    bool is_whole = true;
    const auto report = [&](const std::string& path, const squenv::Error& error) {
        std::fprintf(stderr, "list_image: /%s: %s\n", path.c_str(), error.message().c_str());
        is_whole = false;
        return true;
    };
    squenv::WalkVisitor visitor;
    visitor.visit = [&](const std::string& path, const squenv::Stat& stat) {
        const auto printed = print(*image, path, stat);
        return printed || report(path, printed.error());
    };
    visitor.failed = report;
    const auto walked = image->walk(image->root(), visitor);
    if (!walked) report("", walked.error());
    return is_whole ? 0 : 1;
}
