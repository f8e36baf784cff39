// SPDX-License-Identifier: MIT
// Storage that is slow per request: `slow_storage SOURCE DIRECTORY DELAY [STORE RATE]`. DELAY is
// "MILLISECONDS" or "MILLISECONDS,STALL,EVERY": one in EVERY operations takes STALL milliseconds. A
// file is shown as DIRECTORY/image: every read of at most 1 MiB is answered after that time,
// several at once, and nothing is cached. A directory is shown as DIRECTORY: every lookup, open,
// listing and read takes that time, and the kernel keeps what it has got, as on a file system of a
// network. Runs until it is unmounted. STORE is a file of 24 bytes that several of these have in
// common: reads and bytes are counted in it, and all together get RATE bytes a second (0: no
// limit). The kernel then keeps an image, too. At the end, the number of reads is printed.
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

int source = -1;
using Milliseconds = std::chrono::duration<double, std::milli>;
Milliseconds delay{0};
Milliseconds stall{0};
unsigned long stalls_every = 0;
std::atomic<std::uint64_t> operations_begun{0};
std::atomic<std::uint64_t> reads{0};

/// What all nodes of one store share; in a file that is mapped by each.
struct Store {
    std::atomic<std::uint64_t> reads;
    std::atomic<std::uint64_t> bytes;
    std::atomic<std::int64_t> free_at_ns;  ///< on the monotonic clock: all before is promised
};
Store* store = nullptr;
double bytes_per_second = 0;

void wait() {
    const std::uint64_t number = ++operations_begun;
    const bool stalls = stalls_every != 0 && number % stalls_every == 0;
    std::this_thread::sleep_for(stalls ? stall : delay);
}

bool parse_delay(const char* text) {
    double usual = 0;
    double rare = 0;
    const int found = std::sscanf(text, "%lf,%lf,%lu", &usual, &rare, &stalls_every);
    delay = Milliseconds(usual);
    stall = Milliseconds(rare);
    return found == 1 || found == 3;
}

/// Waits until the store has sent `size` bytes behind what it has promised to all others.
void transfer(std::size_t size) {
    if (store == nullptr) return;
    ++store->reads;
    store->bytes += size;
    if (bytes_per_second <= 0) return;
    using namespace std::chrono;
    const auto needed =
        static_cast<std::int64_t>(static_cast<double>(size) / bytes_per_second * 1e9);
    const std::int64_t now = steady_clock::now().time_since_epoch() / nanoseconds(1);
    std::int64_t before = store->free_at_ns;
    std::int64_t end = 0;
    do {
        end = std::max(before, now) + needed;
    } while (!store->free_at_ns.compare_exchange_weak(before, end));
    std::this_thread::sleep_for(nanoseconds(end - now));
}

bool open_store(const char* path, const char* rate) {
    const int file = ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return false;
    void* const memory =
        ::mmap(nullptr, sizeof(Store), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (memory == MAP_FAILED) return false;
    store = static_cast<Store*>(memory);
    bytes_per_second = std::atof(rate);
    return true;
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
    info->direct_io = store == nullptr ? 1 : 0;
    info->keep_cache = store == nullptr ? 0 : 1;
    return 0;
}

int read_bytes(const char* /*path*/, char* buffer, std::size_t size, off_t offset,
               fuse_file_info* info) {
    ++reads;
    wait();
    const ssize_t got = ::pread(static_cast<int>(info->fh), buffer, size, offset);
    if (got < 0) return -errno;
    transfer(static_cast<std::size_t>(got));
    return static_cast<int>(got);
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
    if ((argc != 4 && argc != 6) || !parse_delay(argv[3])) {
        std::fprintf(stderr, "usage: slow_storage SOURCE DIRECTORY DELAY [STORE RATE]\n");
        return 2;
    }
    if (argc == 6 && !open_store(argv[4], argv[5])) {
        std::perror(argv[4]);
        return 1;
    }
    source = ::open(argv[1], O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (source < 0 || ::fstat(source, &info) != 0) {
        std::perror(argv[1]);
        return 1;
    }
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
    const int status = fuse_main(3, arguments, &operations, nullptr);
    std::printf("%llu\n", static_cast<unsigned long long>(reads.load()));
    return status;
}
