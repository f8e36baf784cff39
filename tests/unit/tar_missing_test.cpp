// SPDX-License-Identifier: MIT
// What stands in for the archive reader in builds without libarchive.
#include <gtest/gtest.h>

#include "pack/tar_source.h"

namespace squenv::pack {
namespace {

TEST(MissingArchives, AreNamedWithTheWayToGetThem) {
    const auto source = open_tar_source("tree.tar", "/tmp", Options{});
    ASSERT_FALSE(source);
    EXPECT_EQ(source.error().code, Errc::unsupported);
    const std::string message = source.error().message();
    EXPECT_NE(message.find("tree.tar: "), std::string::npos) << message;
    EXPECT_NE(message.find("built without libarchive"), std::string::npos) << message;
    EXPECT_NE(message.find("-Dtar=enabled"), std::string::npos) << message;
}

}  // namespace
}  // namespace squenv::pack
