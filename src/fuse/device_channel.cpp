// SPDX-License-Identifier: MIT
#include "fuse/device_channel.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <cstring>

namespace squenv::fuse {

ssize_t DeviceChannel::read(int fd, void* buffer, std::size_t size) const {
    return ::read(fd, buffer, size);
}

ssize_t DeviceChannel::writev(int fd, struct iovec* parts, int count) {
    if (is_ready_.load(std::memory_order_acquire)) return ::writev(fd, parts, count);
    constexpr std::size_t kFlagsEnd = offsetof(fuse_init_out, flags) + sizeof(std::uint32_t);
    if (count == 2 && parts[1].iov_len >= kFlagsEnd) {
        auto* flags = static_cast<char*>(parts[1].iov_base) + offsetof(fuse_init_out, flags);
        std::uint32_t value = 0;
        std::memcpy(&value, flags, sizeof value);
        value |= FUSE_PARALLEL_DIROPS;
        std::memcpy(flags, &value, sizeof value);
    }
    const ssize_t written = ::writev(fd, parts, count);
    is_ready_.store(true, std::memory_order_release);
    return written;
}

}  // namespace squenv::fuse
