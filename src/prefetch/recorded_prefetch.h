// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "appendix/appendix.h"
#include "prefetch/pool.h"
#include "prefetch/recorded_plan.h"

namespace squenv::prefetch {

/// The recorded plan with its pool: one thread reads the image in the order of the plan, in few
/// large pieces, others decode and store. Thread-safe.
class RecordedPrefetch {
  public:
    /// Both outlive it. Asks for the machine's memory: before the sandbox forbids that.
    RecordedPrefetch(const image::Image& image, std::vector<appendix::HotItem> items,
                     PageCache& pages, Target target);
    ~RecordedPrefetch() { stop(); }

    /// See Pool.
    void on_idle(std::function<void()> call) { pool_.on_idle(std::move(call)); }
    void start(unsigned decoders, const cpu_set_t& processors);
    void stop() { pool_.stop(); }
    [[nodiscard]] bool hold(const FileRange& request, Pool::Answer answer) {
        return pool_.hold(request, std::move(answer));
    }
    void note_nodes() { pool_.note_nodes(); }
    void wait_until_idle() { pool_.wait_until_idle(); }

    /// A READ. True when it may be held.
    [[nodiscard]] bool on_read(const FileRange& request);
    /// A READ of a stream.
    void on_stream();
    /// Nothing more is done until a request hits a recorded block.
    void suspend();
    /// The kernel is told of no more nodes by the tree walker.
    void end_walk();

  private:
    void make_blocks();
    void log_result() const;

    const image::Image& image_;
    PageCache& pages_;
    std::vector<appendix::HotItem> items_;
    const std::uint64_t most_bytes_;
    std::unique_ptr<const RecordedBlocks> blocks_owner_;
    std::atomic<const RecordedBlocks*> blocks_{nullptr};  ///< set once
    RecordedPlan plan_;
    Pool pool_;
};

}  // namespace squenv::prefetch
