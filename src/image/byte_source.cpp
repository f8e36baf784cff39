// SPDX-License-Identifier: MIT
#include "image/byte_source.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/checked.h"
#include "base/file_io.h"

namespace squenv::image {

namespace {

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

}  // namespace

FileSource::FileSource(std::shared_ptr<const ImageFile> file) : file_(std::move(file)) {
}

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
    SQUENV_TRY_ASSIGN(auto file, ImageFile::open(path));
    return std::make_unique<FileSource>(std::move(file));
}

Status FileSource::set_offset(std::uint64_t offset) {
    if (offset > file_->size_bytes())
        return fail(Errc::invalid_argument, fmt::format("{}: offset {} is past the end of the file",
                                                        file_->path(), offset));
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
    return read_from(file_->descriptor(), offset_, position, out);
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
            return fail(Errc::io, fmt::format("{}: the file ends at {}, before {}", file_->path(),
                                              position + done, position + out.size()));
        } else if (errno != EINTR && errno != EAGAIN) {
            const int code = errno;
            return tl::unexpected(
                Error{Errc::io,
                      code,
                      fmt::format("{}: reading at {}", file_->path(), position + done),
                      {}});
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
    // Some file systems let only the user that opened the file ask: then nothing is known.
    if (!stat_open_file(file_->descriptor(), info)) return errno != EACCES && errno != EPERM;
    const FileIdentity now = identity_of(info);
    return now.mtime_ns != file_->identity().mtime_ns ||
           (S_ISREG(info.st_mode) && now.size_bytes != file_->size_bytes());
}

SourceCounters FileSource::counters() const {
    return {reads_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
            nanoseconds_.load(std::memory_order_relaxed), copy_ >= 0};
}

}  // namespace squenv::image
