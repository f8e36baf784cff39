// SPDX-License-Identifier: MIT
// Reports the outcome of a mount to a script that waits on a fifo.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

/// Writes one byte to a fifo: "s" when mounted, "f" when it failed or the mounting process died.
class Notifier {
  public:
    /// Before any thread exists. An empty path notifies no process. Errors: limit.
    [[nodiscard]] static Result<Notifier> start(const std::string& path);
    void tell(bool is_mounted);

  private:
    explicit Notifier(UniqueFd writer) : writer_(std::move(writer)) {}
    UniqueFd writer_;
};

}  // namespace squenv::daemon
