// SPDX-License-Identifier: MIT
// Reads from storage that is slow per request: whole neighbourhoods of the image, several in
// flight, kept as they are stored.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/page_buffer.h"
#include "base/result.h"
#include "base/sharded_cache.h"

namespace squenv::image {

/// A part of the image.
struct ByteRange {
    std::uint64_t position = 0;
    std::uint64_t size_bytes = 0;
};

/// Thread-safe, but for start_readers(). A neighbourhood that cannot be read as a whole fails
/// nothing: the request is read alone, and answers for itself.
class Neighbourhoods {
  public:
    /// What one request to the storage brings. NFS, Lustre and FUSE take no larger one.
    static constexpr std::uint64_t kSize = 1U << 20;
    /// The compressed bytes that are kept. With the caches of what is decoded the daemon stays
    /// below 96 MiB.
    static constexpr std::size_t kBudget = 48U << 20;

    /// Fills the bytes from a position on, or fails. Thread-safe.
    using Read = std::function<Status(std::uint64_t position, MutableBytes out)>;

    /// `read` asks the storage, which has `size_bytes`.
    Neighbourhoods(Read read, std::uint64_t size_bytes);
    Neighbourhoods(const Neighbourhoods&) = delete;
    Neighbourhoods& operator=(const Neighbourhoods&) = delete;
    ~Neighbourhoods();

    /// These parts are going to be read soon: the readers begin with them, in this order, and
    /// guess nothing until a call with no parts says that the caller has no more to tell.
    void expect(std::span<const ByteRange> parts);
    /// Errors: those of `read`.
    [[nodiscard]] Status read(std::uint64_t position, MutableBytes out);

    /// Starts threads that read on where the callers go. Once, and before threads are forbidden.
    void start_readers(const cpu_set_t& processors);

    struct Counters {
        std::uint64_t read = 0;        ///< neighbourhoods that were asked for
        std::uint64_t used_bytes = 0;  ///< kept now
        unsigned readers = 0;          ///< threads
    };
    [[nodiscard]] Counters counters() const;

  private:
    struct Neighbourhood {
        PageBuffer memory;
        bool is_ahead = false;                     ///< no caller has asked for it
        mutable std::atomic<bool> is_used{false};  ///< by a caller
    };
    using Pointer = std::shared_ptr<const Neighbourhood>;

    /// They are counted from the end: the tables and the appendix of most images are the first.
    [[nodiscard]] std::uint64_t index_of(std::uint64_t position) const {
        return (size_bytes_ - position - 1) / kSize;
    }
    [[nodiscard]] std::uint64_t begin_of(std::uint64_t index) const;
    [[nodiscard]] std::uint64_t end_of(std::uint64_t index) const {
        return size_bytes_ - index * kSize;
    }
    [[nodiscard]] Result<Pointer> obtain(std::uint64_t index, bool is_ahead);
    void note_use(const Neighbourhood& used, std::uint64_t index);
    [[nodiscard]] std::uint64_t reach() const;
    void plan(std::uint64_t index);
    void read_ahead();

    const Read read_;
    const std::uint64_t size_bytes_;
    ShardedCache<std::uint64_t, Neighbourhood> cache_;
    std::atomic<std::uint64_t> read_count_{0};
    std::atomic<std::uint64_t> ahead_count_{0};
    std::atomic<std::uint64_t> useful_count_{0};

    std::mutex mutex_;  ///< protects the five below
    std::condition_variable has_work_;
    std::deque<std::uint64_t> expected_;  ///< announced by callers
    std::deque<std::uint64_t> wanted_;    ///< guessed, after those
    bool is_ending_ = false;
    bool has_begun_ = false;
    bool is_told_ = false;  ///< a recorded plan tells more than guesses
    std::vector<std::jthread> readers_;
};

}  // namespace squenv::image
