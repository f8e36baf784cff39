// SPDX-License-Identifier: MIT
#include "image/byte_source.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>

#include "base/checked.h"
#include "base/file_io.h"

namespace squenv::image {

namespace {

/// File systems of other machines, and those of programs, by the numbers of statfs(2). What they
/// do not have in memory takes a request.
constexpr std::uint32_t kRemote[] = {
    0x6969,      // NFS
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x19830326,  // BeeGFS
    0x00C36400,  // Ceph
    0x517B,      // SMB
    0xFF534D42,  // CIFS
    0xFE534D42,  // SMB 2
    0x5346414F,  // AFS
    0x01021997,  // 9P
    0x20030528,  // OrangeFS
    0xAAD7AAEA,  // PanFS
    0x65735546,  // FUSE
};

bool is_remote(int descriptor) {
    struct statfs info {};
    if (::fstatfs(descriptor, &info) != 0) return false;
    const auto type = static_cast<std::uint32_t>(info.f_type);
    return std::find(std::begin(kRemote), std::end(kRemote), type) != std::end(kRemote);
}

/// How often it has given the processor away because it waited for something.
long waits_of_this_thread() {
    struct rusage usage {};
    return ::getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

}  // namespace

FileSource::FileSource(std::shared_ptr<const ImageFile> file) : file_(std::move(file)) {
    (void)set_offset(0);
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
    neighbourhoods_ = std::make_unique<Neighbourhoods>(
        // What was planned before there was a copy asks the slow storage no more.
        [this](std::uint64_t position, MutableBytes out) { return read_stored(position, out); },
        size_bytes());
    return {};
}

Status FileSource::read_exact(std::uint64_t position, MutableBytes out) const {
    if (const Kept* kept = kept_.load(std::memory_order_acquire);
        kept != nullptr && position >= kept->position &&
        fits(position - kept->position, out.size(), kept->bytes.size())) {
        std::memcpy(out.data(), kept->bytes.data() + (position - kept->position), out.size());
        return {};
    }
    if (latency_.is_slow() && copy_.load(std::memory_order_acquire) < 0)
        return neighbourhoods_->read(position, out);
    return read_stored(position, out);
}

Status FileSource::read_stored(std::uint64_t position, MutableBytes out) const {
    if (const int copy = copy_.load(std::memory_order_acquire); copy >= 0) {
        if (timed_read(copy, 0, position, out, nullptr)) return {};
        copy_ = -1;
    }
    return read_file(position, out);
}

Status FileSource::read_file(std::uint64_t position, MutableBytes out) const {
    return timed_read(file_->descriptor(), offset_, position, out, &latency_);
}

void FileSource::expect(std::span<const ByteRange> parts) const {
    const bool is_useful = latency_.is_slow() && copy_.load(std::memory_order_acquire) < 0;
    if (is_useful || parts.empty()) neighbourhoods_->expect(parts);
}

void FileSource::start_readers(const cpu_set_t& processors) const {
    if (latency_.is_slow() || is_remote(file_->descriptor()))
        neighbourhoods_->start_readers(processors);
}

Status FileSource::timed_read(int descriptor, std::uint64_t start, std::uint64_t position,
                              MutableBytes out, Latency* latency) const {
    const auto begin = std::chrono::steady_clock::now();
    const long waits = waits_of_this_thread();
    const auto status = read_from(descriptor, start, position, out);
    const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin;
    const bool has_waited = waits_of_this_thread() != waits;
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(passed.count()), std::memory_order_relaxed);
    // Other programs that have the processor are no storage.
    if (latency != nullptr)
        latency->note(has_waited ? passed : std::chrono::nanoseconds(0), out.size());
    return status;
}

Status FileSource::read_from(int descriptor, std::uint64_t start, std::uint64_t position,
                             MutableBytes out) const {
    reads_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(out.size(), std::memory_order_relaxed);
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
    return {reads_.load(std::memory_order_relaxed),
            bytes_.load(std::memory_order_relaxed),
            nanoseconds_.load(std::memory_order_relaxed),
            copy_ >= 0,
            static_cast<std::uint64_t>(latency_.typical().count()),
            latency_.is_slow(),
            neighbourhoods_->counters()};
}

}  // namespace squenv::image
