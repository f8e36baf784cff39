// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv::daemon {

/// What tells that a watched thread has ended. Not thread-safe; the thread that waits for that end
/// may outlive it.
class DeathNotice {
  public:
    DeathNotice() = default;
    DeathNotice(DeathNotice&& other) noexcept = default;
    DeathNotice& operator=(DeathNotice&& other) noexcept {
        std::swap(event_, other.event_);
        return *this;
    }
    ~DeathNotice() { reset(); }

    /// Readable when the thread has ended; -1 when none is watched.
    [[nodiscard]] int get() const;
    /// Closes it. No thread writes to the number of its descriptor any more.
    void reset();

  private:
    friend class DeathWatch;
    struct Event;
    std::shared_ptr<Event> event_{};
};

/// Reports to one process that the main thread of another one has ended, by any means.
///
/// A killed process is not gone while one of its threads is stuck in the kernel: its pidfd is
/// silent and its descriptors stay open. A daemon that stores pages can be stuck so, in wait for a
/// page that only it could fill. The kernel marks a robust mutex when the thread that holds it
/// ends, and that thread never stores pages.
///
/// Created before the processes part, in memory that they share. Each side uses its own methods
/// only.
class DeathWatch {
  public:
    /// Errors: limit (no memory).
    [[nodiscard]] static Result<DeathWatch> create();
    /// For a watched process that is another program, which adopts descriptor(). Errors: limit,
    /// unsupported (no memory that can be passed on).
    [[nodiscard]] static Result<DeathWatch> create_passable();
    /// In that program. Errors: those of map_passed_object().
    [[nodiscard]] static Result<DeathWatch> adopt(UniqueFd memory);
    [[nodiscard]] int descriptor() const { return descriptor_; }
    DeathWatch(DeathWatch&&) noexcept = default;
    DeathWatch& operator=(DeathWatch&&) noexcept = default;
    ~DeathWatch() = default;

    /// The watched process: marks the calling thread as the watched one. Once, before watch(). This
    /// object stays as long as the thread, or until end_watch(): watchers take that for its death.
    void be_watched();
    void end_watch();
    /// The other process, after be_watched(). Starts a thread that waits for the end of the watched
    /// one, also when this object is gone. Errors: limit (no thread or descriptor).
    [[nodiscard]] Result<DeathNotice> watch();

  private:
    struct Shared;
    explicit DeathWatch(std::shared_ptr<Shared> shared, int descriptor = -1)
        : shared_(std::move(shared)), descriptor_(descriptor) {}
    static void prepare(Shared& shared);
    std::shared_ptr<Shared> shared_;
    int descriptor_;  ///< owned by shared_
};

}  // namespace squenv::daemon
