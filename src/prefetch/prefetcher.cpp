// SPDX-License-Identifier: MIT
#include "prefetch/prefetcher.h"

#include <utility>

namespace squenv::prefetch {

Prefetcher::Prefetcher(const image::Image& image, KernelPages& kernel, PrefetchOptions options)
    : call_walker_(std::move(options.call_walker)),
      pages_(kernel),
      siblings_(image, pages_),
      walk_phase_(options.has_walker ? WalkPhase::ahead : WalkPhase::over) {
    if (options.stores_pages) sequential_.emplace(image, pages_);
    if (!options.recorded.empty()) {
        const Target target = options.stores_pages ? Target::page_cache : Target::block_cache;
        recorded_.emplace(image, std::move(options.recorded), pages_, target);
        if (call_walker_) recorded_->on_idle([this] { call_walker_(WalkerCall::after_pause); });
    }
    if (!options.has_walker) on_walk(WalkPhase::over);
}

void Prefetcher::start(unsigned decoders, const cpu_set_t& processors, bool stores_siblings) {
    stores_siblings_ = stores_siblings && sequential_.has_value();
    pages_.held().start(processors);
    if (recorded_) recorded_->start(decoders, processors);
    if (sequential_) sequential_->start(decoders, processors);
}

void Prefetcher::stop() {
    if (recorded_) recorded_->stop();
    if (sequential_) sequential_->stop();
    pages_.held().stop();
}

bool Prefetcher::on_read(const image::Inode& file, const FileRange& request, Answer answer) {
    has_other_use_ = true;
    if (sequential_ && sequential_->on_read(file, request)) {
        if (recorded_) recorded_->on_stream();
        return sequential_->hold(request, std::move(answer));
    }
    return recorded_ && recorded_->on_read(request) && recorded_->hold(request, std::move(answer));
}

const image::Block* Prefetcher::siblings_in(const std::vector<image::DataSlice>& slices) const {
    // A tail comes last.
    const bool is_new = !slices.empty() && slices.back().is_new_fragment;
    return is_new && stores_siblings_ ? slices.back().owner.get() : nullptr;
}

std::optional<Prefetcher::Detail> Prefetcher::on_listing(bool is_walker, bool is_first_page,
                                                         const Answer& list_everything) {
    Listing listing{.phase = walk_phase_,
                    .is_walker = is_walker,
                    .is_first_page = is_first_page,
                    .has_other_use = has_other_use_,
                    .user_listings = user_listings_,
                    .is_walker_in_tree = !recorded_ || has_listing_program_};
    listing.is_stream_read = is_walker && sequential_ && sequential_->is_stream_read();
    if (is_listing_only(listing)) {
        listing.user_listings = user_listings_++;
        if (is_listing_program(listing.user_listings + 1)) note_listing_program();
    }
    if (hold(answer_of(listing), list_everything)) return std::nullopt;
    listing.can_hold = false;
    return answer_of(listing) == ListingAnswer::directories ? Detail::directories
                                                            : Detail::everything;
}

/// False: answer now.
bool Prefetcher::hold(ListingAnswer answer, const Answer& list_everything) {
    if (answer == ListingAnswer::hold_for_stream)
        return sequential_ && sequential_->hold_until_quiet(list_everything);
    return answer == ListingAnswer::hold_for_walker &&
           pages_.held().hold(HoldReason::listing_beside_walker, {},
                              [list_everything](bool /*is_late*/) { list_everything(); });
}

/// What was recorded is given up for a program that only lists: the walker goes ahead of it.
void Prefetcher::note_listing_program() {
    if (!recorded_ || has_listing_program_.exchange(true)) return;
    recorded_->suspend();
    if (call_walker_) call_walker_(WalkerCall::now);
}

void Prefetcher::on_listed() {
    if (recorded_ && walk_phase_ == WalkPhase::ahead) recorded_->note_nodes();
}

void Prefetcher::on_walk(WalkPhase phase) {
    walk_phase_ = phase;
    if (phase == WalkPhase::over) pages_.held().end(HoldReason::listing_beside_walker);
    if (phase != WalkPhase::ahead && recorded_) recorded_->end_walk();
}

}  // namespace squenv::prefetch
