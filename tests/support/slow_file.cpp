// SPDX-License-Identifier: MIT
// A file on storage that is slow per request: `slow_file FILE DIRECTORY MILLISECONDS` shows FILE as
// DIRECTORY/image, and answers every read of at most 1 MiB after that time, several at once. What
// was read is never cached. Runs until it is unmounted.
#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

int file = -1;
std::chrono::milliseconds delay{0};

int get_attributes(const char* path, struct stat* info, fuse_file_info* /*file*/) {
    const bool is_root = std::strcmp(path, "/") == 0;
    if (!is_root && std::strcmp(path, "/image") != 0) return -ENOENT;
    if (::fstat(file, info) != 0) return -errno;
    info->st_mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0444;
    info->st_nlink = is_root ? 2 : 1;
    return 0;
}

int list(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
         fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
    if (std::strcmp(path, "/") != 0) return -ENOENT;
    fill(buffer, "image", nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
    return 0;
}

int open_image(const char* path, fuse_file_info* info) {
    if (std::strcmp(path, "/image") != 0) return -ENOENT;
    info->direct_io = 1;
    return 0;
}

int read_image(const char* /*path*/, char* buffer, std::size_t size, off_t offset,
               fuse_file_info* /*file*/) {
    std::this_thread::sleep_for(delay);
    const ssize_t got = ::pread(file, buffer, size, offset);
    return got < 0 ? -errno : static_cast<int>(got);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: slow_file FILE DIRECTORY MILLISECONDS\n");
        return 2;
    }
    file = ::open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        std::perror(argv[1]);
        return 1;
    }
    delay = std::chrono::milliseconds(std::atoi(argv[3]));
    fuse_operations operations{};
    operations.getattr = get_attributes;
    operations.readdir = list;
    operations.open = open_image;
    operations.read = read_image;
    char foreground[] = "-f";
    char* arguments[] = {argv[0], foreground, argv[2], nullptr};
    return fuse_main(3, arguments, &operations, nullptr);
}
