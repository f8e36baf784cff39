// SPDX-License-Identifier: MIT
#include "cli/image_argument.h"

#include <fmt/core.h>

#include <ostream>

#include "cli/image_name.h"
#include "cli/mount_options.h"
#include "versions/versions.h"

namespace squenv::cli {

void ImageArgument::declare(Options options) {
    options.add("IMAGE", path_, "The image file").required();
    options.add("--offset", offset_, "Bytes before the image, or auto").type_name("N");
}

Result<std::unique_ptr<image::Image>> ImageArgument::open() const {
    image::OpenOptions options;
    if (auto status = parse_offset(offset_, options); !status)
        return with_context(status.error(), "--offset");
    SQUENV_TRY_ASSIGN(const auto path, file());
    return image::Image::open(path, options);
}

Result<std::string> ImageArgument::file() const {
    SQUENV_TRY_ASSIGN(const auto found, image_file(path_));
    return versions::resolve(found);
}

const char* type_text(format::InodeType type) {
    switch (type) {
        case format::InodeType::directory: return "directory";
        case format::InodeType::file: return "file";
        case format::InodeType::symlink: return "symlink";
        case format::InodeType::block_device: return "block device";
        case format::InodeType::char_device: return "character device";
        case format::InodeType::fifo: return "fifo";
        case format::InodeType::socket: return "socket";
    }
    return "unknown";
}

std::string mode_text(const image::Inode& inode) {
    std::string text = "?rwxrwxrwx";
    text[0] = "?d-lbcps"[static_cast<std::size_t>(inode.type)];
    for (unsigned bit = 0; bit < 9; ++bit)
        if ((inode.mode & (0400U >> bit)) == 0) text[1 + bit] = '-';
    const auto mark = [&](unsigned bit, std::size_t place, char set) {
        if ((inode.mode & bit) == 0) return;
        text[place] = text[place] == '-' ? static_cast<char>(set - 'a' + 'A') : set;
    };
    mark(04000, 3, 's');
    mark(02000, 6, 's');
    mark(01000, 9, 't');
    return text;
}

void print_errors(Io& io, const char* who, const std::vector<Error>& errors, std::uint64_t count) {
    for (const auto& error : errors) io.err << who << ": " << printable(error.message()) << '\n';
    if (count > errors.size())
        io.err << fmt::format("{}: and {} more\n", who, count - errors.size());
}

}  // namespace squenv::cli
