// SPDX-License-Identifier: MIT
// What a request names besides the image and its place: the trace, the stage and the log.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "daemon/recording_file.h"
#include "daemon/request.h"
#include "daemon/stage.h"
#include "image/image.h"

namespace squenv::daemon {

/// They are opened once, before a mount is joined or made, and kept from one method to the next.
/// Not thread-safe.
class RequestFiles {
  public:
    /// Opens those that `request`, whose image is open, names. The trace and the log may be made;
    /// what is in them stays, and no space is taken. Errors: those of RecordingFile::open(),
    /// Stage::open() and log::open().
    [[nodiscard]] static Result<RequestFiles> open(const Request& request);
    /// Before a mount of `image`, that of `request`, is made, but not before one is joined: locks
    /// the trace, opens the default log, reserves the stage and empties the trace. Does nothing
    /// once it has succeeded. Errors: those of RecordingFile::lock() and clear(), Stage::reserve(),
    /// and log::open().
    [[nodiscard]] Status begin(const Request& request, const image::Image& image);
    /// Whether begin() failed, and no other method mends that. A trace that is locked is no such
    /// failure: the mount that records into it may be one that the next method joins.
    [[nodiscard]] bool has_failed() const { return has_failed_; }
    /// Those that the daemon of another image must not keep: it would hold the lock and the space.
    [[nodiscard]] std::vector<int> descriptors() const;

    std::optional<RecordingFile> recording{};
    std::unique_ptr<Stage> stage{};
    log::Destination log{};  ///< its file may lie below the mount point

    /// The files of another process of the mount, which have begun.
    struct Begun {
        UniqueFd recording{};
        UniqueFd stage{};
        UniqueFd stage_flag{};
        UniqueFd log{};
    };
    /// Those of `begun` that there are. Errors: those of Stage::adopt() and log::open().
    [[nodiscard]] static Result<RequestFiles> adopt(const Request& request, Begun begun);

  private:
    [[nodiscard]] Status prepare(const Request& request, const image::Image& image);
    bool has_begun_ = false;
    bool has_failed_ = false;
};

}  // namespace squenv::daemon
