// SPDX-License-Identifier: MIT
#include "pack/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "pack/archive_library.h"
#include "pack/content_hash.h"
#include "pack/gzip_check.h"

namespace squenv::pack {

namespace {

constexpr std::size_t kReadSize = 1U << 20;

/// Whether a block is the header of a file: its checksum is right. The sum counts its own eight
/// bytes as blanks.
bool is_tar_header(ByteView block) {
    constexpr std::size_t kSumAt = 148;
    constexpr std::size_t kSumSize = 8;
    if (is_all_zero(block)) return false;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < kTarBlock; ++i)
        sum +=
            i >= kSumAt && i < kSumAt + kSumSize ? ' ' : std::to_integer<std::uint32_t>(block[i]);
    std::uint32_t written = 0;
    std::size_t at = kSumAt;
    while (at < kSumAt + kSumSize && block[at] == std::byte{' '}) ++at;
    for (; at < kSumAt + kSumSize; ++at) {
        const auto digit = std::to_integer<std::uint32_t>(block[at]) - '0';
        if (digit > 7) break;
        written = written * 8 + digit;
    }
    return written == sum;
}

/// Looks for headers of files in what follows the end of an archive.
class RestWatch {
  public:
    void add(ByteView bytes) {
        while (!bytes.empty() && !has_file_) {
            const ByteView piece = bytes.first(std::min(bytes.size(), kTarBlock - filled_));
            std::memcpy(block_.data() + filled_, piece.data(), piece.size());
            filled_ = (filled_ + piece.size()) % kTarBlock;
            bytes = bytes.subspan(piece.size());
            if (filled_ == 0) has_file_ = is_tar_header(block_);
        }
    }
    [[nodiscard]] bool has_file() const { return has_file_; }

  private:
    std::array<std::byte, kTarBlock> block_{};
    std::size_t filled_ = 0;
    bool has_file_ = false;
};

}  // namespace

struct TarStream::Input {
    UniqueFd file;
    const std::atomic<bool>* cancel;
    ByteVector buffer;
    GzipCheck check{};
    int sys_errno = 0;  ///< of a read(2) that failed

    [[nodiscard]] bool is_cancelled() const { return cancel != nullptr && *cancel; }
    static la_ssize_t read(struct archive* archive, void* data, const void** bytes);
};

/// libarchive's own would wait in read(2) for a producer that does nothing, whatever signals come.
la_ssize_t TarStream::Input::read(struct archive* /*archive*/, void* data, const void** bytes) {
    constexpr int kLookMs = 100;
    auto* self = static_cast<Input*>(data);
    while (!self->is_cancelled()) {
        pollfd waiting{self->file.get(), POLLIN, 0};
        const int ready = ::poll(&waiting, 1, kLookMs);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        const ssize_t size = ::read(self->file.get(), self->buffer.data(), self->buffer.size());
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (size < 0) self->sys_errno = errno;
        if (size > 0)
            self->check.add_stored(ByteView(self->buffer).first(static_cast<std::size_t>(size)));
        *bytes = self->buffer.data();
        return size;
    }
    return -1;
}

void TarStream::FreeInput::operator()(Input* input) const {
    delete input;
}

void TarStream::Free::operator()(struct archive* archive) const {
    ::archive_read_free(archive);
}

TarStream::TarStream(const std::string& path) : name_(path == "-" ? "standard input" : path) {
}

tl::unexpected<Error> TarStream::damaged() const {
    if (input_->is_cancelled()) return fail(Errc::cancelled, name_ + ": stopped");
    if (input_->sys_errno != 0) return fail_errno(input_->sys_errno, name_);
    if (::archive_errno(archive_.get()) == ENOMEM) return fail_memory(name_);
    const char* reason = ::archive_error_string(archive_.get());
    return fail(Errc::corrupt,
                fmt::format("{}: {}", name_, reason != nullptr ? reason : "damaged"));
}

Result<TarStream> TarStream::open(const std::string& path, const std::atomic<bool>* cancel) {
    SQUENV_TRY(load_archive_library());
    TarStream stream(path);
    UniqueFd file(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : -1);
    if (path != "-") {
        SQUENV_TRY_ASSIGN(file, open_file(path, O_RDONLY));
    }
    if (!file) return fail_errno(errno, stream.name_);
    stream.input_.reset(new Input{std::move(file), cancel, ByteVector(kReadSize)});
    stream.archive_.reset(::archive_read_new());
    struct archive* archive = stream.archive_.get();
    if (archive == nullptr) return fail_memory("a reader of archives");
    ::archive_read_support_filter_all(archive);
    // One "file" without a name: what the filters make of the stream.
    ::archive_read_support_format_raw(archive);
    ::archive_read_support_format_empty(archive);
    if (::archive_read_open(archive, stream.input_.get(), nullptr, &Input::read, nullptr) !=
        ARCHIVE_OK)
        return stream.damaged();
    SQUENV_TRY(stream.begin());
    return stream;
}

Status TarStream::begin() {
    struct archive_entry* entry = nullptr;
    int code = ARCHIVE_RETRY;
    while (code == ARCHIVE_RETRY) code = ::archive_read_next_header(archive_.get(), &entry);
    // A producer at the other end of a pipe that failed looks like this.
    if (code == ARCHIVE_EOF) return fail(Errc::corrupt, name_ + ": nothing is in it");
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return damaged();
    return {};
}

Result<ByteView> TarStream::next() {
    const std::size_t kept = std::min(current_.size(), before_.size());
    std::move(before_.begin() + static_cast<std::ptrdiff_t>(kept), before_.end(), before_.begin());
    if (kept > 0)
        std::memcpy(before_.data() + before_.size() - kept,
                    current_.data() + current_.size() - kept, kept);
    current_ = {};
    while (true) {
        // A few bytes of a file can become terabytes: the file itself may not be read for hours.
        if (input_->is_cancelled()) return damaged();
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        const int code = ::archive_read_data_block(archive_.get(), &data, &size, &offset);
        if (code == ARCHIVE_EOF) break;
        if (code == ARCHIVE_RETRY || (code == ARCHIVE_OK && size == 0)) continue;
        if (code != ARCHIVE_OK) return damaged();
        current_ = {static_cast<const std::byte*>(data), size};
        input_->check.add_content(current_);
        position_ += size;
        break;
    }
    return current_;
}

Status TarStream::check_end(std::uint64_t header, std::uint64_t position) {
    ByteVector recent(before_.begin(), before_.end());
    append(recent, current_);
    const auto from_end = [&](std::uint64_t at) {
        return static_cast<std::size_t>(std::min<std::uint64_t>(position_ - at, recent.size()));
    };
    const bool is_marked = header + kTarBlock <= position && position <= position_ &&
                           position_ - header <= recent.size() &&
                           is_all_zero(ByteView(recent).last(from_end(header)).first(kTarBlock));
    if (!is_marked)
        return fail(Errc::corrupt,
                    name_ + ": the archive stops between two files, without the mark of its end",
                    "it was cut off, get it again; if it is known to be complete, append 1024 "
                    "bytes of zeros");
    RestWatch rest;
    rest.add(ByteView(recent).last(from_end(position)));
    while (true) {
        SQUENV_TRY_ASSIGN(const ByteView bytes, next());
        if (bytes.empty()) break;
        rest.add(bytes);
    }
    // Compressed twice, what comes out of gzip is not what comes out at the end.
    constexpr int kGzipAlone = 2;
    if (::archive_filter_count(archive_.get()) == kGzipAlone && !input_->check.is_right())
        return fail(Errc::corrupt,
                    name_ + ": the checksum of the gzip file is not that of its content",
                    "get it again, or make it anew");
    if (rest.has_file())
        return fail(Errc::unsupported, name_ + ": more files follow behind the end of the archive",
                    "join archives with tar --concatenate, or pack them one by one");
    return {};
}

}  // namespace squenv::pack
