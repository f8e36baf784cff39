// SPDX-License-Identifier: MIT
// What a listing with attributes (READDIRPLUS) is answered with, as a pure decision.
#pragma once

#include <cstdint>

#include "prefetch/walk_phase.h"

namespace squenv::prefetch {

/// What a listing is known by. Users that only list directories, as find(1) does, need no
/// attributes of files, which makes a listing twice as fast.
struct Listing {
    WalkPhase phase = WalkPhase::over;
    bool is_walker = false;          ///< the tree walker lists, not a user
    bool is_first_page = false;      ///< of the directory
    bool has_other_use = false;      ///< users have done more than list directories
    unsigned user_listings = 0;      ///< begun by users before this one
    bool is_walker_in_tree = false;  ///< the walker lists the tree, not the recorded names
    bool can_hold = true;            ///< false: this listing must be answered now
    bool is_stream_read = false;     ///< a program reads a stream
};

enum class ListingAnswer : std::uint8_t {
    everything,       ///< with the attributes of all entries
    directories,      ///< with those of directories only
    hold_for_walker,  ///< everything, after HoldReason::listing_beside_walker
    hold_for_stream,  ///< everything, after HoldReason::walker_beside_stream
};

/// Whether it is a listing by a user of whom nothing but listings is known. These are counted.
[[nodiscard]] bool is_listing_only(const Listing& listing);

/// Whether a listing-only user that has begun `user_listings` is more than a chance listing, so
/// that what was recorded is given up for the walker.
[[nodiscard]] bool is_listing_program(unsigned user_listings);

[[nodiscard]] ListingAnswer answer_of(const Listing& listing);

}  // namespace squenv::prefetch
