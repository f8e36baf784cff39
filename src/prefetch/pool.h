// SPDX-License-Identifier: MIT
// The threads that carry out a plan.
#pragma once

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "image/image.h"
#include "prefetch/chunk.h"
#include "prefetch/page_cache.h"
#include "prefetch/plan.h"

namespace squenv::prefetch {

/// Where decoded blocks go.
enum class Target : std::uint8_t {
    page_cache,   ///< of the kernel
    block_cache,  ///< of the image, where the kernel's requests find them
};

/// Reads, decodes and stores what a plan wants, and holds the requests at its front. It knows no
/// policy. Either each decoder reads the block it decodes, or one thread reads ahead of the
/// decoders, in few large pieces.
///
/// Nothing is locked while a thread reads, decodes or stores.
/// Thread-safe.
class Pool {
  public:
    using Answer = std::function<void()>;
    /// What the thread that reads ahead calls at its begin and at its end.
    struct Reader {
        std::function<void()> on_begin;
        std::function<void()> on_end;
    };

    /// All of them outlive the pool.
    Pool(const image::Image& image, Plan& plan, PageCache& pages, Target target)
        : image_(image), plan_(plan), pages_(pages), target_(target) {}
    ~Pool() { stop(); }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// Called on any thread, perhaps several times, when everything is stored that will be unless
    /// requests ask for more. Before start().
    void on_idle(std::function<void()> call) { on_idle_ = std::move(call); }
    /// Makes the threads, which run on `processors`; returns when all of them run. With a `reader`
    /// one of them reads ahead. Where the system refuses threads, everything is as after stop().
    void start(unsigned decoders, const cpu_set_t& processors);
    void start(unsigned decoders, const cpu_set_t& processors, Reader reader);
    /// Ends the threads; what is under way is finished, what is held is answered.
    void stop();

    /// Runs `action`, which may use the plan and what is marked below, with the lock of the pool.
    template <class Action>
    decltype(auto) locked(Action&& action) {
        const std::lock_guard lock(mutex_);
        return std::forward<Action>(action)();
    }
    /// Inside locked(). The plan has other jobs than before: for the reader, for decoders without
    /// a reader, and for those that wait for what they store.
    void wake_reader() { has_room_.notify_one(); }
    void wake_decoders() { has_work_.notify_all(); }
    void wake_stores() { may_store_.notify_all(); }
    /// Inside locked(). Leaves what was read and is not being decoded.
    void drop_read();
    /// Inside locked(). Nothing is left to read or to decode.
    [[nodiscard]] bool is_exhausted() const { return is_read_ && chunks_.empty(); }
    /// Inside locked().
    [[nodiscard]] bool is_ending() const { return is_ending_; }
    /// True soon after stop() begins.
    [[nodiscard]] const std::atomic<bool>& ending_flag() const { return is_ending_; }

    /// Holds a request at the front of the plan; `answer` runs soon, on another thread. False:
    /// answer now.
    [[nodiscard]] bool hold(const FileRange& request, Answer answer);
    /// The kernel was told of more nodes.
    void note_nodes();
    void tell_idle() const {
        if (on_idle_) on_idle_();
    }
    /// Waits until on_idle() could be called.
    void wait_until_idle();

  private:
    /// A job in the hands of a decoder.
    struct Work {
        Job job;
        std::shared_ptr<const Chunk> chunk;  ///< keeps `stored`; null without a reader
        ByteView stored{};
    };
    void read_ahead(const Reader& reader);
    [[nodiscard]] bool read_next(std::size_t stored_bytes);
    void end_reading(const Reader& reader);
    void decode();
    void process(const Work& work);
    [[nodiscard]] bool store(const Work& work);
    [[nodiscard]] bool store_block(const Work& work, const PlannedBlock& block);
    [[nodiscard]] bool store_range(const Work& work);
    [[nodiscard]] bool store_part(const Job& job, const Part& part, ByteView bytes);
    // Called with mutex_ held.
    [[nodiscard]] std::vector<HeldRequests::Answer> take_due();
    [[nodiscard]] bool has_work() const;
    [[nodiscard]] Work take_work();
    [[nodiscard]] bool is_idle() const;
    [[nodiscard]] bool may_wait() const;

    const image::Image& image_;
    Plan& plan_;
    PageCache& pages_;
    const Target target_;
    std::function<void()> on_idle_;

    std::mutex mutex_;                   ///< protects the plan and everything below but threads_
    std::condition_variable has_room_;   ///< for the reader
    std::condition_variable has_work_;   ///< for the decoders
    std::condition_variable may_store_;  ///< for decoders that wait for what they store
    std::condition_variable done_;
    std::deque<std::shared_ptr<Chunk>> chunks_;  ///< read, not all taken
    bool has_reader_ = false;
    bool has_begun_ = false;  ///< the reader is past on_begin()
    bool is_reading_ = false;
    bool is_read_ = false;   ///< nothing is left to read
    unsigned decoding_ = 0;  ///< threads that do
    std::uint64_t node_changes_ = 0;
    std::atomic<bool> is_ending_{false};  ///< set with mutex_ held
    std::vector<std::jthread> threads_;
};

}  // namespace squenv::prefetch
