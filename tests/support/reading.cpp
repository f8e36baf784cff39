// SPDX-License-Identifier: MIT
#include "support/reading.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "image/walk.h"

namespace squenv::test {

namespace {

Status differs(const std::string& path, const std::string& what) {
    return fail(Errc::internal, path + ": " + what + " differs from what was built");
}

template <class T>
const T* find_in(const std::map<std::string, T>& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

/// Work bounds of exercise(): files can be exabytes of holes, trees can be as wide as the image.
constexpr std::uint64_t kMaxObjects = 5000;
constexpr std::uint64_t kMaxBytes = 16U << 20;
constexpr std::uint64_t kMaxPiece = 256U << 10;

struct Exerciser {
    const image::Image& image;
    Exercise result{};
    std::byte checksum{};

    void note(const Error& error) {
        ++result.failures;
        if (error.code != Errc::internal && !error.context.empty()) return;
        std::fprintf(stderr, "not an error an image may cause: %s\n", error.message().c_str());
        std::abort();
    }
    template <class T>
    bool good(const Result<T>& got) {
        if (!got) note(got.error());
        return got.has_value();
    }

    void use_file(const image::Inode& file) {
        std::uint64_t offset = 0;
        while (offset < file.size_bytes && result.bytes < kMaxBytes) {
            const auto slices = image.data().read(file, offset, kMaxPiece);
            if (!good(slices)) break;
            std::uint64_t size = 0;
            for (const auto& slice : *slices) {
                size += slice.bytes.size();
                // Every byte handed out is touched, so that sanitizers see them all.
                for (const std::byte byte : slice.bytes) checksum ^= byte;
            }
            if (size != std::min(kMaxPiece, file.size_bytes - offset)) std::abort();
            offset += size;
            result.bytes += size;
        }
        if (file.size_bytes != 0) {
            const std::uint64_t last = file.size_bytes - 1;
            (void)good(image.data().read(file, last, 10));
            (void)good(image.data().read(file, last / 2, 10));
        }
        (void)good(image.data().seek(file, 0, image::FileData::Seek::hole));
        (void)good(image.data().seek(file, 0, image::FileData::Seek::data));
    }

    void use(const image::Inode& inode) {
        ++result.objects;
        if (inode.is_file()) use_file(inode);
        if (inode.is_symlink()) (void)good(image.read_link(inode));
        if (inode.is_directory()) (void)good(image.lookup(inode, "small"));
        const auto names = image.xattrs().names(inode);
        if (!good(names)) return;
        for (std::size_t i = 0; i < std::min<std::size_t>(names->size(), 8); ++i)
            (void)good(image.xattrs().value(inode, (*names)[i]));
    }
};

}  // namespace

Result<std::unique_ptr<image::Image>> open_image(const BuiltImage& built,
                                                 std::shared_ptr<Faults> faults,
                                                 const image::OpenOptions& options) {
    return image::Image::open(
        std::unique_ptr<image::ByteSource>(new MemorySource(built.bytes, std::move(faults))),
        options);
}

Result<std::string> read_range(const image::Image& image, const image::Inode& file,
                               std::uint64_t offset, std::uint64_t size) {
    SQUENV_TRY_ASSIGN(const auto slices, image.data().read(file, offset, size));
    std::string text;
    for (const auto& slice : slices) text += as_text(slice.bytes);
    return text;
}

Result<std::string> read_file(const image::Image& image, const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto inode, image.resolve(path));
    return read_range(image, inode, 0, inode.size_bytes);
}

Result<std::vector<std::string>> list(const image::Image& image, const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto inode, image.resolve(path));
    std::vector<std::string> names;
    SQUENV_TRY(
        image.directories().visit(inode, 0, [&](std::uint64_t, const image::DirectoryItem& item) {
            names.emplace_back(item.name);
            return true;
        }));
    return names;
}

Status read_object(const image::Image& image, const BuiltImage& built, const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto inode, image.resolve(path));
    if (const auto* content = find_in(built.files, path)) {
        SQUENV_TRY_ASSIGN(const auto read, read_file(image, path));
        if (read != *content) return differs(path, "the content");
    }
    if (const auto* target = find_in(built.symlinks, path)) {
        SQUENV_TRY_ASSIGN(const auto read, image.read_link(inode));
        if (read != *target) return differs(path, "the target");
    }
    if (const auto* names = find_in(built.directories, path)) {
        SQUENV_TRY_ASSIGN(const auto read, list(image, path));
        if (read != *names) return differs(path, "the listing");
    }
    SQUENV_TRY_ASSIGN(const auto attributes, image.xattrs().names(inode));
    const auto* expected = find_in(built.xattrs, path);
    if (attributes.size() != (expected == nullptr ? 0 : expected->size()))
        return differs(path, "the number of xattrs");
    for (std::size_t i = 0; i < attributes.size(); ++i) {
        SQUENV_TRY_ASSIGN(const auto value, image.xattrs().value(inode, attributes[i]));
        if (attributes[i] != (*expected)[i].first || !value ||
            as_text(*value) != (*expected)[i].second)
            return differs(path, "an xattr");
    }
    return {};
}

std::vector<std::string> all_paths(const BuiltImage& built) {
    std::set<std::string> paths(built.specials.begin(), built.specials.end());
    for (const auto& [path, content] : built.files) paths.insert(path);
    for (const auto& [path, target] : built.symlinks) paths.insert(path);
    for (const auto& [path, names] : built.directories) paths.insert(path);
    return {paths.begin(), paths.end()};
}

Exercise exercise(ByteVector bytes) {
    // Small caches, so that evictions happen.
    image::OpenOptions options;
    options.cache_bytes = 1U << 20;
    const auto image = image::Image::open(
        std::unique_ptr<image::ByteSource>(new MemorySource(std::move(bytes))), options);
    if (!image) return {};
    Exerciser exerciser{**image};
    exerciser.result.is_open = true;
    image::WalkVisitor visitor;
    const auto go_on = [&] {
        return exerciser.result.objects < kMaxObjects && exerciser.result.bytes < kMaxBytes &&
               exerciser.result.failures < kMaxObjects;
    };
    visitor.enter = [&](const std::string&, const image::Inode& inode) {
        exerciser.use(inode);
        return go_on();
    };
    visitor.failed = [&](const std::string&, const Error& error) {
        exerciser.note(error);
        return go_on();
    };
    image::walk(**image, (*image)->root(), visitor);
    for (std::uint32_t number = 1; number < 4; ++number)
        if (const auto reference = (*image)->exported(number))
            if (const auto inode = (*image)->inode(*reference)) exerciser.use(*inode);
    return exerciser.result;
}

}  // namespace squenv::test
