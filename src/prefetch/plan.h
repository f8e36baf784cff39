// SPDX-License-Identifier: MIT
// What is decoded next, as a decision that a pool carries out.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "image/block_list.h"
#include "image/inode.h"
#include "prefetch/held_queue.h"

namespace squenv::prefetch {

/// A part of a decoded block that belongs into the page cache of a file.
struct Part {
    FileId file = kNoFile;
    std::uint64_t file_offset = 0;  ///< a multiple of the page size
    std::uint32_t block_offset = 0;
    std::uint32_t size_bytes = 0;  ///< whole pages, or up to the end of the file
};

/// A stored block and what it is needed for.
struct PlannedBlock {
    image::BlockPlace place;
    std::size_t length = 0;          ///< as BlockCache::get wants it
    std::uint64_t bytes_before = 0;  ///< in the parts of all blocks in front of this one
    std::span<const Part> parts;     ///< kept by the plan
};

/// What one thread decodes and stores: a block, or a range of a file whose blocks that thread looks
/// up.
struct Job {
    std::size_t number = 0;  ///< the plan's own
    const PlannedBlock* block = nullptr;
    std::shared_ptr<const image::Inode> file{};
    FileRange range{};
};

/// Decides which jobs there are, in which order, and what becomes of requests at their front. Pure:
/// no thread, time is a parameter. Not thread-safe: the pool that carries it out locks.
class Plan {
  public:
    using Clock = HeldQueue::Clock;
    Plan() = default;
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    virtual ~Plan() = default;

    /// The reason for which requests at the front of this plan are held.
    [[nodiscard]] virtual HoldReason hold_reason() const = 0;

    /// There is a job to take now.
    [[nodiscard]] virtual bool has_job() const = 0;
    /// No job will come any more.
    [[nodiscard]] virtual bool is_finished() const = 0;
    /// Takes the next jobs, until they have `stored_bytes` to read; of ranges, one.
    [[nodiscard]] virtual std::vector<Job> take(std::size_t stored_bytes) = 0;
    /// A thread is about to decode the job.
    virtual void begin(const Job& job) = 0;
    /// Whether it is still worth decoding and storing.
    [[nodiscard]] virtual bool is_wanted(const Job& job) const = 0;
    /// A thread is about to store a part of it, and may wait for pages.
    virtual void begin_store(const Job& job) = 0;
    /// What to do about a part that the kernel refuses.
    enum class Refused { wait, skip, stop };
    [[nodiscard]] virtual Refused refused() const = 0;
    /// The job is done. `is_complete`: everything of it was stored that could be.
    virtual void finish(const Job& job, bool is_complete) = 0;

    /// Whether to hold a request. `is_idle`: all jobs that were taken are finished and there is
    /// none to take.
    [[nodiscard]] virtual bool may_hold(const FileRange& request, bool is_idle) const = 0;
    /// Whether enough is stored after a held request.
    [[nodiscard]] virtual bool is_due(const FileRange& request, bool is_idle) const = 0;
    /// A held request is being answered. `is_late`: its limit came first.
    virtual void on_answer(const FileRange& request, bool is_late, Clock::time_point now) = 0;
};

}  // namespace squenv::prefetch
