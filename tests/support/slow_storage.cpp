// SPDX-License-Identifier: MIT
// Storage that is slow per request: `slow_storage SOURCE DIRECTORY MILLISECONDS`. A file is shown
// as DIRECTORY/image: every read of at most 1 MiB is answered after that time, several at once, and
// nothing is cached. A directory is shown as DIRECTORY: every lookup, open, listing and read takes
// that time, and the kernel keeps what it has got, as on a file system of a network. Runs until it
// is unmounted.
#define FUSE_USE_VERSION 314
#include <dirent.h>
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

int source = -1;
std::chrono::microseconds delay{0};

void wait() {
    std::this_thread::sleep_for(delay);
}

int image_attributes(const char* path, struct stat* info, fuse_file_info* /*file*/) {
    const bool is_root = std::strcmp(path, "/") == 0;
    if (!is_root && std::strcmp(path, "/image") != 0) return -ENOENT;
    if (::fstat(source, info) != 0) return -errno;
    info->st_mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0444;
    info->st_nlink = is_root ? 2 : 1;
    return 0;
}

int list_image(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
               fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
    if (std::strcmp(path, "/") != 0) return -ENOENT;
    fill(buffer, "image", nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
    return 0;
}

int open_image(const char* path, fuse_file_info* info) {
    if (std::strcmp(path, "/image") != 0) return -ENOENT;
    info->fh = static_cast<std::uint64_t>(source);
    info->direct_io = 1;
    return 0;
}

int read_bytes(const char* /*path*/, char* buffer, std::size_t size, off_t offset,
               fuse_file_info* info) {
    wait();
    const ssize_t got = ::pread(static_cast<int>(info->fh), buffer, size, offset);
    return got < 0 ? -errno : static_cast<int>(got);
}

/// The path as openat(2) and the like want it.
const char* below(const char* path) {
    return path[1] == '\0' ? "." : path + 1;
}

int tree_attributes(const char* path, struct stat* info, fuse_file_info* /*file*/) {
    wait();
    return ::fstatat(source, below(path), info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

int read_link(const char* path, char* buffer, std::size_t size) {
    const ssize_t length = ::readlinkat(source, below(path), buffer, size - 1);
    if (length < 0) return -errno;
    buffer[length] = '\0';
    return 0;
}

int list_tree(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
              fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
    wait();
    DIR* directory = ::fdopendir(::openat(source, below(path), O_RDONLY | O_DIRECTORY));
    if (directory == nullptr) return -errno;
    while (const dirent* entry = ::readdir(directory))
        fill(buffer, entry->d_name, nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
    ::closedir(directory);
    return 0;
}

int open_file(const char* path, fuse_file_info* info) {
    wait();
    const int file = ::openat(source, below(path), O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    info->fh = static_cast<std::uint64_t>(file);
    info->keep_cache = 1;
    return 0;
}

int close_file(const char* /*path*/, fuse_file_info* info) {
    ::close(static_cast<int>(info->fh));
    return 0;
}

void* begin(fuse_conn_info* /*connection*/, fuse_config* config) {
    // As long as NFS believes what it was told.
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 30;
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: slow_storage SOURCE DIRECTORY MILLISECONDS\n");
        return 2;
    }
    source = ::open(argv[1], O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (source < 0 || ::fstat(source, &info) != 0) {
        std::perror(argv[1]);
        return 1;
    }
    delay = std::chrono::microseconds(static_cast<long>(std::atof(argv[3]) * 1000));
    const bool is_tree = S_ISDIR(info.st_mode);
    fuse_operations operations{};
    operations.init = begin;
    operations.getattr = is_tree ? tree_attributes : image_attributes;
    operations.readlink = is_tree ? read_link : nullptr;
    operations.readdir = is_tree ? list_tree : list_image;
    operations.open = is_tree ? open_file : open_image;
    operations.read = read_bytes;
    operations.release = is_tree ? close_file : nullptr;
    char foreground[] = "-f";
    char* arguments[] = {argv[0], foreground, argv[2], nullptr};
    return fuse_main(3, arguments, &operations, nullptr);
}
