// SPDX-License-Identifier: MIT
// What the header finds out, beside what the build asked the compiler for.
#include "base/sanitizers.h"

#include <gtest/gtest.h>

namespace squenv {
namespace {

TEST(Sanitizers, AreKnownToTheCode) {
    EXPECT_EQ(SQUENV_HAS_SANITIZER, SQUENV_EXPECTED_SANITIZER);
}

}  // namespace
}  // namespace squenv
