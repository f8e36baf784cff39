// SPDX-License-Identifier: MIT
// The door of prefetch: it is told what users do, and may take a request over.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "image/image.h"
#include "prefetch/fragment_store.h"
#include "prefetch/listing_policy.h"
#include "prefetch/options.h"
#include "prefetch/page_cache.h"
#include "prefetch/recorded_prefetch.h"
#include "prefetch/sequential_prefetch.h"

namespace squenv::prefetch {

/// Who gets the processor next, and what is stored next: plans decide which blocks are decoded
/// ahead of the users, pools carry them out, and requests at the front of a plan are held.
/// Thread-safe.
class Prefetcher {
  public:
    /// Runs once, on any thread.
    using Answer = std::function<void()>;

    /// `image` and `kernel` outlive it.
    Prefetcher(const image::Image& image, KernelPages& kernel, PrefetchOptions options);

    /// Makes the threads, `decoders` for each plan; returns when they run. Threads may be made here
    /// only. `stores_siblings`: a thread that answers a READ may wait for a page, because another
    /// one receives requests then.
    void start(unsigned decoders, const cpu_set_t& processors, bool stores_siblings);
    /// Ends the threads; what is under way is finished, what is held is answered.
    void stop();

    /// A name was found.
    void on_lookup(bool is_directory) {
        if (!is_directory) has_other_use_ = true;
    }
    /// A READ. True: it is taken over, and `answer` runs soon.
    [[nodiscard]] bool on_read(const image::Inode& file, const FileRange& request, Answer answer);
    /// The READs that were received and not answered yet.
    [[nodiscard]] UnansweredReads& unanswered_reads() { return pages_.reads(); }
    /// The fragment block among the slices of a READ whose other files are to be stored, or null.
    [[nodiscard]] const image::Block* siblings_in(
        const std::vector<image::DataSlice>& slices) const;
    /// Around the reply to the READ that decoded it; see FragmentStore.
    void before_reply(const image::Inode& file, const image::Block& fragment) {
        siblings_.before_reply(file, fragment);
    }
    void after_reply(const image::Inode& file) { siblings_.after_reply(file); }

    /// Which entries of a listing get attributes.
    enum class Detail { directories, everything };
    /// A listing with attributes, by the tree walker or by a user. Nothing: it is taken over, and
    /// `list_everything` runs soon.
    [[nodiscard]] std::optional<Detail> on_listing(bool is_walker, bool is_first_page,
                                                   const Answer& list_everything);
    /// The kernel was told of what a listing has.
    void on_listed();

    /// The tree walker is in another phase.
    void on_walk(WalkPhase phase);
    [[nodiscard]] const std::atomic<WalkPhase>& walk_phase() const { return walk_phase_; }

    [[nodiscard]] std::uint64_t stored_bytes() const { return pages_.stored_bytes(); }

  private:
    [[nodiscard]] bool hold(ListingAnswer answer, const Answer& list_everything);
    void note_listing_program();

    std::function<void(WalkerCall)> call_walker_;
    PageCache pages_;
    FragmentStore siblings_;
    std::optional<RecordedPrefetch> recorded_;
    std::optional<SequentialPrefetch> sequential_;
    std::atomic<WalkPhase> walk_phase_;
    std::atomic<bool> stores_siblings_{false};
    std::atomic<bool> has_other_use_{false};        ///< users have done more than list
    std::atomic<unsigned> user_listings_{0};        ///< begun by listing-only users
    std::atomic<bool> has_listing_program_{false};  ///< the walker was called for it
};

}  // namespace squenv::prefetch
