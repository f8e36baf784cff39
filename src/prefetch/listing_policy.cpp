// SPDX-License-Identifier: MIT
#include "prefetch/listing_policy.h"

#include <array>

namespace squenv::prefetch {

namespace {

/// Directories that were listed with nothing else asked for: only find(1) and the like do that.
constexpr unsigned kManyListings = 16;
/// The first listing may be of any program.
constexpr unsigned kListingsOfProgram = 2;

/// What the rows below ask of a listing.
enum Fact : unsigned {
    kAhead = 1U << 0,       ///< the walker is ahead
    kWalker = 1U << 1,      ///< the walker lists
    kOnlyListed = 1U << 2,  ///< users have only listed
    kBegun = 1U << 3,       ///< users have begun a listing
    kMany = 1U << 4,        ///< users have begun many, with this one
    kNewUser = 1U << 5,     ///< a listing-only user begins this one
    kInTree = 1U << 6,
    kCanHold = 1U << 7,
    kStream = 1U << 8,
};

struct Row {
    unsigned facts;  ///< all of them must hold
    ListingAnswer answer;
};

/// The first row that fits counts. While the walker is ahead in the tree, a user that only lists is
/// held for a moment, and the walker hurries: it is told of directories alone. Recorded names are
/// not hurried: nothing can be stored in a file that the kernel was not told of.
constexpr std::array kRows{
    Row{kAhead | kWalker | kStream | kCanHold, ListingAnswer::hold_for_stream},
    Row{kAhead | kWalker | kOnlyListed | kBegun | kInTree, ListingAnswer::directories},
    Row{kAhead | kNewUser | kInTree | kCanHold, ListingAnswer::hold_for_walker},
    Row{kAhead, ListingAnswer::everything},
    Row{kOnlyListed | kMany, ListingAnswer::directories},
    Row{0, ListingAnswer::everything},
};

unsigned facts_of(const Listing& listing) {
    const auto fact = [](bool holds, Fact value) { return holds ? value : 0U; };
    const bool is_counted = is_listing_only(listing);
    return fact(listing.phase == WalkPhase::ahead, kAhead) | fact(listing.is_walker, kWalker) |
           fact(!listing.has_other_use, kOnlyListed) | fact(listing.user_listings != 0, kBegun) |
           fact(listing.user_listings + (is_counted ? 1 : 0) > kManyListings, kMany) |
           fact(is_counted, kNewUser) | fact(listing.is_walker_in_tree, kInTree) |
           fact(listing.can_hold, kCanHold) | fact(listing.is_stream_read, kStream);
}

}  // namespace

bool is_listing_only(const Listing& listing) {
    const bool is_by_walker = listing.phase == WalkPhase::ahead && listing.is_walker;
    return listing.is_first_page && !listing.has_other_use && !is_by_walker;
}

bool is_listing_program(unsigned user_listings) {
    return user_listings >= kListingsOfProgram;
}

ListingAnswer answer_of(const Listing& listing) {
    const unsigned facts = facts_of(listing);
    for (const Row& row : kRows)
        if ((facts & row.facts) == row.facts) return row.answer;
    return ListingAnswer::everything;
}

}  // namespace squenv::prefetch
