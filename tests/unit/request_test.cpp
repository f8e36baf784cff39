// SPDX-License-Identifier: MIT
#include "daemon/request.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/opened.h"
#include "support/image_builder.h"

namespace squenv::test {
namespace {

namespace fs = std::filesystem;
using daemon::Request;

/// Whether the image that `request` opened has a file called `name`.
bool serves(const Request& request, const std::string& name) {
    const auto opened = daemon::open_request(request);
    return opened && opened->image->resolve(name).has_value();
}

class RequestTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "squenv-request-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        put("image", "first");
        request_.image_path = directory_ / "image";
        request_.log_destination = directory_ / "log";
    }
    void TearDown() override { fs::remove_all(directory_); }

    /// Writes an image whose only file is called `content`.
    void put(const std::string& name, const std::string& content) const {
        ImageBuilder builder;
        builder.file(content, "x");
        const auto built = builder.build();
        std::ofstream(directory_ / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(built.bytes.data()),
                   static_cast<std::streamsize>(built.bytes.size()));
    }
    void replace() const {
        put("new", "second");
        fs::rename(directory_ / "new", directory_ / "image");
    }

    fs::path directory_;
    Request request_;
};

TEST_F(RequestTest, WhatIsReplacedAfterItIsIdentifiedIsServedAsItWas) {
    ASSERT_TRUE(daemon::open_image(request_));
    const std::string identity = daemon::content_identity(request_);
    replace();
    EXPECT_EQ(daemon::content_identity(request_), identity);
    EXPECT_TRUE(serves(request_, "first"));
    EXPECT_FALSE(serves(request_, "second"));
    EXPECT_EQ(daemon::open_request(request_)->identity, identity);
}

TEST_F(RequestTest, WhatIsReplacedBeforeIsAnotherImage) {
    Request old = request_;
    ASSERT_TRUE(daemon::open_image(old));
    replace();
    ASSERT_TRUE(daemon::open_image(request_));
    EXPECT_TRUE(serves(request_, "second"));
    EXPECT_NE(daemon::content_identity(request_), daemon::content_identity(old));
    EXPECT_NE(daemon::rendezvous_name_of(request_, "/venv"),
              daemon::rendezvous_name_of(old, "/venv"));
}

TEST_F(RequestTest, OpensOnce) {
    ASSERT_TRUE(daemon::open_image(request_));
    const auto file = request_.file;
    replace();
    ASSERT_TRUE(daemon::open_image(request_));
    EXPECT_EQ(request_.file, file);
}

}  // namespace
}  // namespace squenv::test
