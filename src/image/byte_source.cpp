// SPDX-License-Identifier: MIT
#include "image/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/checked.h"
#include "base/file_io.h"
#include "base/paths.h"

namespace squenv::image {

namespace {

std::int64_t nanoseconds(const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Adds the time it lives to a sum.
class Stopwatch {
  public:
    explicit Stopwatch(std::atomic<std::uint64_t>& sum) : sum_(sum) {}
    ~Stopwatch() {
        const auto passed = std::chrono::steady_clock::now() - start_;
        sum_.fetch_add(static_cast<std::uint64_t>(
                           std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count()),
                       std::memory_order_relaxed);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    std::atomic<std::uint64_t>& sum_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Result<std::uint64_t> length_of(int fd, const struct stat& info, const std::string& path) {
    if (S_ISREG(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
    if (S_ISBLK(info.st_mode)) {
        std::uint64_t bytes = 0;
        if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) return fail_errno(errno, path);
        return bytes;
    }
    if (S_ISDIR(info.st_mode))
        return fail(Errc::invalid_argument, path + ": is a directory, not an image",
                    "pack it first with 'squenv pack'");
    return fail(Errc::invalid_argument, path + ": not a regular file or block device");
}

/// What the owner of an image, or of a directory above it, can do for this user.
tl::unexpected<Error> refused(Error error, const std::string& path) {
    if (error.sys_errno != EACCES) return tl::unexpected(std::move(error));
    const std::string closed = closed_directory(path);
    if (!closed.empty()) error.context = fmt::format("{}: {} may not be entered", path, closed);
    error.hint = fmt::format("its owner runs 'setfacl -m u:{}:{} {}'", ::geteuid(),
                             closed.empty() ? "r" : "x", closed.empty() ? path : closed);
    return tl::unexpected(std::move(error));
}

}  // namespace

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
    auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!fd) return refused(fd.error(), path);
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) return fail_errno(errno, path);
    SQUENV_TRY_ASSIGN(const auto bytes, length_of(fd->get(), info, path));
    std::unique_ptr<FileSource> source(new FileSource);
    source->path_ = path;
    source->fd_ = std::move(*fd);
    source->file_bytes_ = bytes;
    source->mtime_ns_ = nanoseconds(info.st_mtim);
    return source;
}

Status FileSource::set_offset(std::uint64_t offset) {
    if (offset > file_bytes_)
        return fail(Errc::invalid_argument,
                    fmt::format("{}: offset {} lies behind the end of the file", path_, offset));
    offset_ = offset;
    return {};
}

Status FileSource::read_exact(std::uint64_t position, MutableBytes out) const {
    if (const Kept* kept = kept_.load(std::memory_order_acquire);
        kept != nullptr && position >= kept->position &&
        fits(position - kept->position, out.size(), kept->bytes.size())) {
        std::memcpy(out.data(), kept->bytes.data() + (position - kept->position), out.size());
        return {};
    }
    if (const int copy = copy_.load(std::memory_order_acquire); copy >= 0) {
        if (read_from(copy, 0, position, out)) return {};
        copy_ = -1;
    }
    return read_from(fd_.get(), offset_, position, out);
}

Status FileSource::read_from(int descriptor, std::uint64_t start, std::uint64_t position,
                             MutableBytes out) const {
    reads_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(out.size(), std::memory_order_relaxed);
    const Stopwatch stopwatch(nanoseconds_);
    std::size_t done = 0;
    while (done < out.size()) {
        const auto at = static_cast<off_t>(start + position + done);
        const ssize_t got = ::pread(descriptor, out.data() + done, out.size() - done, at);
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (got == 0) {
            return fail(Errc::io, fmt::format("{}: the file ends at {}, before {}", path_,
                                              position + done, position + out.size()));
        } else if (errno != EINTR && errno != EAGAIN) {
            const int code = errno;
            return tl::unexpected(Error{
                Errc::io, code, fmt::format("{}: reading at {}", path_, position + done), {}});
        }
    }
    return {};
}

void FileSource::keep(std::uint64_t position, std::size_t size) const {
    if (is_kept_.test_and_set()) return;
    auto kept = std::make_shared<Kept>();
    kept->position = position;
    kept->bytes.resize(size);
    if (!read_exact(position, kept->bytes)) return;
    kept_owner_ = std::move(kept);
    kept_.store(kept_owner_.get(), std::memory_order_release);
}

bool FileSource::has_changed() const {
    struct stat info {};
    // Some file systems let only the user ask who opened the file: then nothing is known.
    if (!stat_open_file(fd_.get(), info)) return errno != EACCES && errno != EPERM;
    return nanoseconds(info.st_mtim) != mtime_ns_ ||
           (S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) != file_bytes_);
}

SourceCounters FileSource::counters() const {
    return {reads_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
            nanoseconds_.load(std::memory_order_relaxed), copy_ >= 0};
}

}  // namespace squenv::image
