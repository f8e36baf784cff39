// SPDX-License-Identifier: MIT
#include "pack/image_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/file_io.h"
#include "format/bounds.h"
#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

/// A multiple of the stripe sizes of parallel file systems.
constexpr std::size_t kBufferSize = 4U << 20;
constexpr std::size_t kBufferAlignment = 4096;

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Status sync(int fd, const std::string& path) {
    while (::fsync(fd) != 0)
        if (errno != EINTR) return write_failure(errno, path);
    return {};
}

bool is_there(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

tl::unexpected<Error> already_there(const std::string& path) {
    return fail(Errc::exists, path + " exists already", "replace it with --force, or choose -o");
}

}  // namespace

void ImageWriter::FreeBuffer::operator()(std::byte* buffer) const {
    ::operator delete(buffer, std::align_val_t(kBufferAlignment));
}

Status ImageWriter::check_output(const std::string& path, bool replaces) {
    if (!replaces && is_there(path)) return already_there(path);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
        return fail(Errc::invalid_argument, path + " is not a regular file");
    const std::string directory = directory_of(path);
    if (::access(directory.c_str(), W_OK | X_OK) != 0)
        return write_failure(errno, directory);
    return {};
}

Result<ImageWriter> ImageWriter::create(const std::string& path, bool replaces) {
    ImageWriter writer;
    SQUENV_TRY(check_output(path, replaces));
    writer.path_ = path;
    writer.replaces_ = replaces;
    const std::string temporary = fmt::format("{}.tmp.{}", path, ::getpid());
    auto file = open_file(temporary, O_RDWR | O_CREAT | O_EXCL, 0666);
    if (!file) return write_failure(file.error().sys_errno, temporary);
    writer.file_ = std::move(*file);
    writer.temporary_path_ = temporary;
    writer.buffer_.reset(static_cast<std::byte*>(
        ::operator new(kBufferSize, std::align_val_t(kBufferAlignment))));
    const ByteVector empty_superblock(format::kSuperblockSize);
    SQUENV_TRY(writer.append(empty_superblock));
    return writer;
}

ImageWriter::ImageWriter(ImageWriter&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      replaces_(other.replaces_),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)),
      buffered_(other.buffered_),
      position_(other.position_) {}

ImageWriter::~ImageWriter() {
    if (!temporary_path_.empty()) ::unlink(temporary_path_.c_str());
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
    (void)::sync_file_range(file_.get(), static_cast<off_t>(begin), static_cast<off_t>(buffered_),
                            SYNC_FILE_RANGE_WRITE);
    buffered_ = 0;
    return {};
}

Status ImageWriter::write_at(ByteView bytes, std::uint64_t position) {
    if (const auto status = squenv::write_at(file_.get(), bytes, position); !status)
        return write_failure(status.error().sys_errno, path_);
    return {};
}

Status ImageWriter::seal(ByteView superblock) {
    SQUENV_TRY(flush());
    SQUENV_TRY(sync(file_.get(), path_));
    SQUENV_TRY(write_at(superblock, 0));
    SQUENV_TRY(sync(file_.get(), path_));
    // Network file systems report a full disk as late as here.
    if (::close(file_.release()) != 0) return write_failure(errno, path_);
    return {};
}

Status ImageWriter::publish() {
    const char* from = temporary_path_.c_str();
    if (replaces_) {
        if (::rename(from, path_.c_str()) != 0) return write_failure(errno, path_);
    } else if (::renameat2(AT_FDCWD, from, AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST) return already_there(path_);
        // Not every file system knows the flag; a link refuses to replace, too.
        if (errno != EINVAL && errno != ENOSYS) return write_failure(errno, path_);
        if (::link(from, path_.c_str()) == 0) {
            ::unlink(from);
        } else {
            if (errno == EEXIST) return already_there(path_);
            // Nor links: the check from the beginning is all there is.
            if (is_there(path_)) return already_there(path_);
            if (::rename(from, path_.c_str()) != 0) return write_failure(errno, path_);
        }
    }
    temporary_path_.clear();
    // The image is complete and has its name; a directory that cannot be synced changes nothing
    // that could be taken back.
    if (auto directory = open_file(directory_of(path_), O_RDONLY | O_DIRECTORY))
        (void)::fsync(directory->get());
    return {};
}

}  // namespace squenv::pack
