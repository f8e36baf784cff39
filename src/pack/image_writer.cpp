// SPDX-License-Identifier: MIT
#include "pack/image_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "base/file_io.h"
#include "format/bounds.h"
#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

/// Between looks at a request to stop.
constexpr std::size_t kCopyPiece = 8U << 20;

/// Copies one piece, in the kernel where both file systems allow it; some share the blocks.
Status copy_piece(int from, int to, std::uint64_t position, std::size_t size) {
    auto in = static_cast<off_t>(position);
    auto out = in;
    const auto end = in + static_cast<off_t>(size);
    while (in < end) {
        const ssize_t copied =
            ::copy_file_range(from, &in, to, &out, static_cast<std::size_t>(end - in), 0);
        if (copied > 0 || (copied < 0 && errno == EINTR)) continue;
        if (copied == 0) return fail(Errc::io, "ends before its end");
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return fail_errno(errno, "");
        ByteVector bytes(static_cast<std::size_t>(end - in));
        SQUENV_TRY(read_at(from, bytes, static_cast<std::uint64_t>(in)));
        return squenv::write_at(to, bytes, static_cast<std::uint64_t>(in));
    }
    return {};
}

/// A multiple of the stripe sizes of parallel file systems.
constexpr std::size_t kBufferSize = 4U << 20;
constexpr std::size_t kBufferAlignment = 4096;

Status sync(int fd, const std::string& path) {
    while (::fsync(fd) != 0)
        if (errno != EINTR) return write_failure(errno, path);
    return {};
}

}  // namespace

void ImageWriter::FreeBuffer::operator()(std::byte* buffer) const {
    ::operator delete(buffer, std::align_val_t(kBufferAlignment));
}

Status ImageWriter::check_output(const std::string& path, bool replaces) {
    return OutputFile::check(path, replaces);
}

ImageWriter::ImageWriter(OutputFile file)
    : file_(std::move(file)),
      buffer_(static_cast<std::byte*>(
          ::operator new(kBufferSize, std::align_val_t(kBufferAlignment)))) {
}

Result<ImageWriter> ImageWriter::create(const std::string& path, bool replaces, Replace replace) {
    SQUENV_TRY_ASSIGN(OutputFile file, OutputFile::create(path, replaces, std::move(replace)));
    ImageWriter writer(std::move(file));
    const ByteVector empty_superblock(format::kSuperblockSize);
    SQUENV_TRY(writer.append(empty_superblock));
    return writer;
}

Status ImageWriter::adopt(int file, std::uint64_t end, const std::atomic<bool>& cancel) {
    for (std::uint64_t at = format::kSuperblockSize; at < end; at += kCopyPiece) {
        if (cancel) return fail(Errc::cancelled, "stopped on request");
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kCopyPiece, end - at));
        if (const auto status = copy_piece(file, file_.fd(), at, size); !status)
            return with_context(status.error(), file_.path());
        (void)::sync_file_range(file_.fd(), static_cast<off_t>(at), static_cast<off_t>(size),
                                SYNC_FILE_RANGE_WRITE);
    }
    adopted_ = end;
    return {};
}

Status ImageWriter::keep_adopted() {
    SQUENV_TRY(flush());
    position_ = adopted_;
    return {};
}

Status ImageWriter::drop_adopted() {
    adopted_ = 0;
    if (::ftruncate(file_.fd(), 0) != 0) return write_failure(errno, file_.path());
    return {};
}

Status ImageWriter::append(ByteView bytes) {
    while (!bytes.empty()) {
        const std::size_t room = std::min(bytes.size(), kBufferSize - buffered_);
        std::memcpy(buffer_.get() + buffered_, bytes.data(), room);
        buffered_ += room;
        position_ += room;
        bytes = bytes.subspan(room);
        if (buffered_ == kBufferSize) SQUENV_TRY(flush());
    }
    return {};
}

Status ImageWriter::align(std::uint64_t alignment) {
    const ByteVector zeros((alignment - position_ % alignment) % alignment);
    return append(zeros);
}

Status ImageWriter::flush() {
    const std::uint64_t begin = position_ - buffered_;
    SQUENV_TRY(write_at({buffer_.get(), buffered_}, begin));
    // Starts writing back now, so that little is left for the fsync at the end. A hint: file
    // systems that cannot do it say so and lose nothing.
    (void)::sync_file_range(file_.fd(), static_cast<off_t>(begin), static_cast<off_t>(buffered_),
                            SYNC_FILE_RANGE_WRITE);
    buffered_ = 0;
    return {};
}

Status ImageWriter::write_at(ByteView bytes, std::uint64_t position) {
    if (const auto status = squenv::write_at(file_.fd(), bytes, position); !status)
        return write_failure(status.error().sys_errno, file_.path());
    return {};
}

Status ImageWriter::seal(ByteView superblock) {
    SQUENV_TRY(flush());
    SQUENV_TRY(sync(file_.fd(), file_.path()));
    SQUENV_TRY(write_at(superblock, 0));
    SQUENV_TRY(sync(file_.fd(), file_.path()));
    return file_.settle();
}

}  // namespace squenv::pack
