// SPDX-License-Identifier: MIT
#include "prefetch/listing_policy.h"

#include <gtest/gtest.h>

namespace squenv::test {
namespace {

using prefetch::answer_of;
using prefetch::Listing;
using prefetch::ListingAnswer;
using prefetch::WalkPhase;

/// A user begins to list a directory, while the walker lists the tree ahead of it.
Listing user_ahead() {
    return {.phase = WalkPhase::ahead, .is_first_page = true, .is_walker_in_tree = true};
}

Listing walker_ahead() {
    Listing listing = user_ahead();
    listing.is_walker = true;
    return listing;
}

TEST(ListingPolicy, AUserIsHeldWhileTheWalkerIsAhead) {
    Listing listing = user_ahead();
    EXPECT_EQ(answer_of(listing), ListingAnswer::hold_for_walker);
    listing.can_hold = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, TheRestOfADirectoryIsNotHeld) {
    Listing listing = user_ahead();
    listing.is_first_page = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, AUserThatDoesMoreIsNotHeld) {
    Listing listing = user_ahead();
    listing.has_other_use = true;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, WhileTheWalkerVisitsRecordedNamesNoUserIsHeld) {
    Listing listing = user_ahead();
    listing.is_walker_in_tree = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, WhileTheWalkerIsAheadAUserGetsEverything) {
    Listing listing = user_ahead();
    listing.user_listings = 1000;
    listing.can_hold = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, TheWalkerHurriesAheadOfUsersThatOnlyList) {
    Listing listing = walker_ahead();
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything) << "there is no user";
    listing.user_listings = 1;
    EXPECT_EQ(answer_of(listing), ListingAnswer::directories);
    listing.is_first_page = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::directories);
    listing.has_other_use = true;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, TheWalkerDoesNotHurryThroughRecordedNames) {
    Listing listing = walker_ahead();
    listing.is_walker_in_tree = false;
    for (const unsigned listings : {0U, 1U, 1000U}) {
        listing.user_listings = listings;
        EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
    }
}

TEST(ListingPolicy, AStreamGoesBeforeTheWalker) {
    Listing listing = walker_ahead();
    listing.is_stream_read = true;
    EXPECT_EQ(answer_of(listing), ListingAnswer::hold_for_stream);
    listing.can_hold = false;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
    listing.user_listings = 1;
    EXPECT_EQ(answer_of(listing), ListingAnswer::directories);
}

TEST(ListingPolicy, AStreamHoldsNoUser) {
    Listing listing = user_ahead();
    listing.has_other_use = true;
    listing.is_stream_read = true;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
}

TEST(ListingPolicy, WithoutAWalkerManyListingsAreOfDirectoriesAlone) {
    for (const WalkPhase phase : {WalkPhase::paused, WalkPhase::over}) {
        Listing listing{.phase = phase, .is_first_page = true};
        listing.user_listings = 15;
        EXPECT_EQ(answer_of(listing), ListingAnswer::everything) << "the 16th";
        listing.user_listings = 16;
        EXPECT_EQ(answer_of(listing), ListingAnswer::directories) << "the 17th";
        listing.has_other_use = true;
        EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
    }
}

TEST(ListingPolicy, TheRestOfADirectoryIsNoListingMore) {
    Listing listing{.phase = WalkPhase::over, .is_first_page = false};
    listing.user_listings = 16;
    EXPECT_EQ(answer_of(listing), ListingAnswer::everything);
    listing.user_listings = 17;
    EXPECT_EQ(answer_of(listing), ListingAnswer::directories);
}

TEST(ListingPolicy, ListingsOfUsersAreCounted) {
    EXPECT_TRUE(is_listing_only(user_ahead()));
    EXPECT_FALSE(is_listing_only(walker_ahead()));
    Listing listing = user_ahead();
    listing.has_other_use = true;
    EXPECT_FALSE(is_listing_only(listing));
    listing = user_ahead();
    listing.is_first_page = false;
    EXPECT_FALSE(is_listing_only(listing));
}

TEST(ListingPolicy, TheSecondListingMakesAListingProgram) {
    EXPECT_FALSE(prefetch::is_listing_program(1));
    EXPECT_TRUE(prefetch::is_listing_program(2));
}

}  // namespace
}  // namespace squenv::test
