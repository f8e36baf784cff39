// SPDX-License-Identifier: MIT
#include "fuse/device_channel.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace squenv::fuse {

namespace {

/// The smallest value that the kernel takes. No process writes; but the kernel wants a buffer of
/// that size for each request, and the buffers of the journal are small.
constexpr std::uint32_t kMaxWrite = 4096;

void settle_negotiation(iovec& reply, bool has_journal) {
    fuse_init_out answer{};
    const std::size_t size = std::min(reply.iov_len, sizeof answer);
    std::memcpy(&answer, reply.iov_base, size);
    answer.flags |= FUSE_PARALLEL_DIROPS;
    if (has_journal) answer.max_write = kMaxWrite;
    std::memcpy(reply.iov_base, &answer, size);
}

std::size_t size_of(const iovec* parts, int count) {
    std::size_t total = 0;
    for (int i = 0; i < count; ++i) total += parts[i].iov_len;
    return total;
}

/// The kernel copies from a page that is not resident only for a process that is not being killed;
/// otherwise the caller gets EIO. So pages are touched first.
void touch(const iovec* parts, int count) {
    constexpr std::size_t kPage = 4096;
    for (int i = 0; i < count; ++i) {
        const auto* bytes = static_cast<const volatile char*>(parts[i].iov_base);
        for (std::size_t at = 0; at < parts[i].iov_len; at += kPage) (void)bytes[at];
    }
}

}  // namespace

ssize_t DeviceChannel::read(int fd, void* buffer, std::size_t size) const {
    return ::read(fd, buffer, size);
}

ssize_t DeviceChannel::writev(int fd, struct iovec* parts, int count) {
    if (!is_ready_.load(std::memory_order_acquire)) return answer_init(fd, parts, count);
    return journal_ == nullptr ? ::writev(fd, parts, count) : answer(fd, parts, count);
}

ssize_t DeviceChannel::answer_init(int fd, struct iovec* parts, int count) {
    if (count == 2) settle_negotiation(parts[1], journal_ != nullptr);
    ssize_t written = 0;
    if (is_repeating_) {
        const ByteView before = journal_->init_answer();
        const bool is_equal = count == 2 && before.size() == parts[1].iov_len &&
                              std::memcmp(before.data(), parts[1].iov_base, before.size()) == 0;
        if (!is_equal) {
            errno = EPROTO;
            return -1;
        }
        written = static_cast<ssize_t>(size_of(parts, count));
    } else if (journal_ != nullptr) {
        if (count == 2)
            journal_->save_init_answer(
                {static_cast<const std::byte*>(parts[1].iov_base), parts[1].iov_len});
        written = answer(fd, parts, count);
    } else {
        written = ::writev(fd, parts, count);
    }
    is_ready_.store(true, std::memory_order_release);
    return written;
}

ssize_t DeviceChannel::answer(int fd, struct iovec* parts, int count) {
    fuse_out_header header{};
    std::memcpy(&header, parts[0].iov_base, sizeof header);
    touch(parts, count);
    const ssize_t written = ::writev(fd, parts, count);
    if (header.unique == 0) return written;  // a notification
    journal_->on_answer(header.unique);
    // A dead server had answered already.
    const bool was_answered = written < 0 && errno == ENOENT;
    return was_answered ? static_cast<ssize_t>(size_of(parts, count)) : written;
}

}  // namespace squenv::fuse
