// SPDX-License-Identifier: MIT
// A copy of the image on storage of this node, made while the image is served.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/shared_object.h"
#include "base/unique_fd.h"
#include "image/image.h"

namespace squenv::daemon {

/// The copy has no name: it goes when the daemon does, however that ends. The daemon may open no
/// files, so it is made before; its space is reserved before the mount, so that a full disk is told
/// at once. Not thread-safe; the copying has a thread of its own.
class Stage {
  public:
    /// An empty file in `directory`. Errors: denied, not_found.
    [[nodiscard]] static Result<Stage> open(const std::string& directory);
    /// Takes the space for an image of `bytes`. Errors: limit (not enough), and of fallocate(2).
    [[nodiscard]] Status reserve(std::uint64_t bytes);
    [[nodiscard]] int descriptor() const { return file_.get(); }
    /// The copy that another process of the mount has opened, with the descriptors of both. Errors:
    /// those of map_passed_object().
    [[nodiscard]] static Result<Stage> adopt(UniqueFd file, UniqueFd is_complete,
                                             std::string directory);
    /// -1 when it cannot be passed on.
    [[nodiscard]] int flag_descriptor() const { return descriptor_of(is_complete_); }
    Stage(Stage&&) noexcept = default;
    Stage& operator=(Stage&&) = delete;
    ~Stage();

    /// Starts the thread, which waits for begin(). Threads may start here only. When a server of
    /// the mount has completed the copy before, it is read from now on, and there is no thread.
    void start(const image::Image& image);
    /// Copies, then reads the copy back. When it equals what was read from the image, reads go to
    /// the copy from then on. A failed copy changes nothing; a line in the log reports it.
    void begin();

  private:
    struct State {
        std::atomic<int> phase{0};
    };
    Stage(UniqueFd file, std::string directory, SharedObject<std::atomic<bool>> is_complete)
        : file_(std::move(file)),
          directory_(std::move(directory)),
          is_complete_(std::move(is_complete)),
          state_(std::make_unique<State>()) {}

    UniqueFd file_;
    std::string directory_;
    SharedObject<std::atomic<bool>> is_complete_;  ///< the copy; all servers of the mount see it
    std::unique_ptr<State> state_;
    std::jthread thread_;
};

}  // namespace squenv::daemon
