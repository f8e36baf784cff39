// SPDX-License-Identifier: MIT
// Reading and writing /dev/fuse on behalf of libfuse.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>

#include "fuse/request_journal.h"

namespace squenv::fuse {

/// Thread-safe.
class DeviceChannel {
  public:
    /// Answers are noted in `journal`, which outlives it. Before the first reply.
    void use(RequestJournal& journal) { journal_ = &journal; }
    [[nodiscard]] ssize_t read(int fd, void* buffer, std::size_t size) const;
    /// Sends a reply. The first one is the INIT reply, to which FUSE_PARALLEL_DIROPS is added:
    /// libfuse 3.10 to 3.16 never pass that bit on, and without it the kernel serialises the
    /// lookups of a directory. This can go when libfuse 3.17 is the oldest one supported.
    [[nodiscard]] ssize_t writev(int fd, struct iovec* parts, int count);
    /// The first reply is not sent: the kernel has had it from another process. It must be equal
    /// to that one, or is_ready() stays false.
    void repeat_init() { is_repeating_ = true; }
    /// True once the INIT reply was written: from then on the mount answers.
    [[nodiscard]] bool is_ready() const { return is_ready_.load(); }

  private:
    [[nodiscard]] ssize_t answer_init(int fd, struct iovec* parts, int count);
    [[nodiscard]] ssize_t answer(int fd, struct iovec* parts, int count);

    RequestJournal* journal_ = nullptr;
    bool is_repeating_ = false;
    std::atomic<bool> is_ready_{false};
};

}  // namespace squenv::fuse
