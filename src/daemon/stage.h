// SPDX-License-Identifier: MIT
// A copy of the image on storage of this node, made while the image is served.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image.h"

namespace squenv::daemon {

/// The copy has no name: it goes when the daemon does, however the daemon ends. The daemon may open
/// no files, so it is created before. Its space is reserved then, so that a full disk is reported
/// at once. Not thread-safe; the copying has a thread of its own.
class Stage {
  public:
    /// A file for `image` in `directory`. Errors: limit (not enough space), denied, not_found.
    [[nodiscard]] static Result<Stage> open(const std::string& directory,
                                            const image::Image& image);
    /// Whether `directory` can hold a copy of `bytes`. Leaves no file. Errors: those of open().
    [[nodiscard]] static Status check(const std::string& directory, std::uint64_t bytes);
    Stage(Stage&&) noexcept = default;
    Stage& operator=(Stage&&) = delete;
    ~Stage();

    /// Starts the thread, which waits for begin(). Threads may start here only.
    void start(const image::Image& image);
    /// Copies, then reads the copy back. When it equals what was read from the image, reads go to
    /// the copy from then on. A failed copy changes nothing; a line in the log reports it.
    void begin();

  private:
    struct Shared {
        std::atomic<int> state{0};
    };
    explicit Stage(UniqueFd file) : file_(std::move(file)), shared_(std::make_unique<Shared>()) {}

    UniqueFd file_;
    std::unique_ptr<Shared> shared_;
    std::jthread thread_;
};

}  // namespace squenv::daemon
