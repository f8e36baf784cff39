// SPDX-License-Identifier: MIT
#pragma once

#include "prefetch/pool.h"
#include "prefetch/sequential_plan.h"

namespace squenv::prefetch {

/// The sequential plan with its pool. Thread-safe.
class SequentialPrefetch {
  public:
    /// Both outlive it.
    SequentialPrefetch(const image::Image& image, PageCache& pages)
        : pages_(pages),
          plan_(image.superblock().block_size),
          pool_(image, plan_, pages, Target::page_cache) {}
    ~SequentialPrefetch() { stop(); }

    /// See Pool.
    void start(unsigned decoders, const cpu_set_t& processors) {
        pool_.start(decoders, processors);
    }
    void stop();
    [[nodiscard]] bool hold(const FileRange& request, Pool::Answer answer) {
        return pool_.hold(request, std::move(answer));
    }

    /// A READ. True when it belongs to a stream.
    [[nodiscard]] bool on_read(const image::Inode& file, const FileRange& request);
    /// A program reads a stream.
    [[nodiscard]] bool is_stream_read();
    /// Runs `answer` when no stream is read any more, or after a quarter of a second: for requests
    /// that no program waits for. False: answer now.
    [[nodiscard]] bool hold_until_quiet(Pool::Answer answer);

  private:
    PageCache& pages_;
    SequentialPlan plan_;
    Pool pool_;
};

}  // namespace squenv::prefetch
