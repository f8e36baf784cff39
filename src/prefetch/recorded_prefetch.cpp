// SPDX-License-Identifier: MIT
#include "prefetch/recorded_prefetch.h"

#include <unistd.h>

#include <utility>

#include "base/log.h"

namespace squenv::prefetch {

RecordedPrefetch::RecordedPrefetch(const image::Image& image, std::vector<appendix::HotItem> items,
                                   PageCache& pages, Target target)
    : image_(image),
      pages_(pages),
      items_(std::move(items)),
      most_bytes_(recorded_bytes_limit(::sysconf(_SC_PHYS_PAGES), ::sysconf(_SC_PAGESIZE))),
      plan_(target == Target::page_cache ? RecordedPlan()
                                         : RecordedPlan(image.counters().blocks.budget_bytes)),
      pool_(image, plan_, pages, target) {
}

void RecordedPrefetch::start(unsigned decoders, const cpu_set_t& processors) {
    pool_.start(decoders, processors, {[this] { make_blocks(); }, [this] { log_result(); }});
}

/// On the thread that reads ahead, because it takes some milliseconds.
void RecordedPrefetch::make_blocks() {
    blocks_owner_ =
        std::make_unique<RecordedBlocks>(image_, items_, most_bytes_, pool_.ending_flag());
    items_ = std::vector<appendix::HotItem>();  // "= {}" would keep the memory
    pool_.locked([&] { plan_.set_blocks(*blocks_owner_); });
    blocks_.store(blocks_owner_.get(), std::memory_order_release);
    log::debug("hot list: {} blocks, {} bytes", blocks_owner_->blocks().size(),
               blocks_owner_->size_bytes());
}

void RecordedPrefetch::log_result() const {
    if (!blocks_owner_) return;  // there was no memory for them
    const auto [hits, front_requests, held] = plan_.counters();
    log::debug(
        "hot list read: {} of {} bytes stored, {} requests for it, {} at the front, {} of "
        "them held",
        pages_.stored_bytes(), blocks_owner_->size_bytes(), hits, front_requests, held);
}

bool RecordedPrefetch::on_read(const FileRange& request) {
    const RecordedBlocks* blocks = blocks_.load(std::memory_order_acquire);
    if (blocks == nullptr) return false;
    const auto index = blocks->find(request.file, request.begin);
    if (!index) {
        if (pool_.locked([&] { return plan_.on_miss(); })) suspend();
        return false;
    }
    return pool_.locked([&] {
        const auto hit = plan_.on_hit(*index, pool_.is_exhausted(), Plan::Clock::now());
        if (hit.is_in_work || hit.is_at_front) pool_.wake_reader();
        if (hit.is_at_front) pool_.wake_stores();
        return hit.may_hold;
    });
}

void RecordedPrefetch::on_stream() {
    if (pool_.locked([&] { return plan_.is_ended_by_stream(); })) suspend();
}

void RecordedPrefetch::suspend() {
    const bool was_active = pool_.locked([&] {
        if (!plan_.suspend()) return false;
        pool_.drop_read();
        return true;
    });
    if (was_active) pool_.tell_idle();
}

void RecordedPrefetch::end_walk() {
    pool_.locked([&] {
        plan_.end_walk();
        pool_.wake_stores();
    });
}

}  // namespace squenv::prefetch
