// SPDX-License-Identifier: MIT
// A file descriptor with one owner.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace squenv {

/// Owns one descriptor and closes it. Not thread-safe, like an int.
class UniqueFd {
  public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;
    explicit operator bool() const noexcept { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

/// open(2) with O_CLOEXEC added and EINTR retried; the result is never 0, 1 or 2.
[[nodiscard]] Result<UniqueFd> open_file(const std::string& path, int flags, unsigned mode = 0);

/// The same for a regular file in a directory where other users may put anything. A link is not
/// followed, and nothing is waited for. Errors: also denied (it is something else).
[[nodiscard]] Result<UniqueFd> open_regular_file(const std::string& path, int flags);

/// Opens those of the descriptors 0, 1 and 2 that are closed on /dev/null. No later descriptor can
/// then be taken for the terminal.
void guard_standard_fds();

}  // namespace squenv
