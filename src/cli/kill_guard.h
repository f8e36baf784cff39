// SPDX-License-Identifier: MIT
// A process that clears away what this one cannot when SIGKILL ends it: a mount over the user's
// files, and temporary files.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::cli {

/// What a killed process would leave. All paths are absolute.
struct LeftBehind {
    std::string program{};             ///< squenv, which unmounts
    std::string image{};               ///< only a mount of this file is removed
    std::string mountpoint{};          ///< canonical
    std::vector<std::string> files{};  ///< `image` may be one of them
};

/// While one lives, the death of this process detaches the mount and removes the files, within
/// three seconds. Its own end does nothing. Not thread-safe.
class KillGuard {
  public:
    /// No other thread may be at work. Errors: limit (no process).
    [[nodiscard]] static Result<KillGuard> start(const LeftBehind& left);
    KillGuard(KillGuard&&) = default;
    KillGuard& operator=(KillGuard&&) = delete;
    ~KillGuard();

  private:
    explicit KillGuard(UniqueFd socket) : socket_(std::move(socket)) {}
    UniqueFd socket_;
};

}  // namespace squenv::cli
