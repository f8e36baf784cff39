// SPDX-License-Identifier: MIT
// Storage that fails, shrinks or changes under an open image: EIO while it lasts, nothing after.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <thread>

#include "rows.h"

namespace squenv::test {
namespace {

/// All objects; how many failed. Failures must be EIO, and successes must be right.
std::size_t count_failures(const BuiltImage& built, const image::Image& image) {
    std::size_t failures = 0;
    for (const auto& path : all_paths(built)) {
        const auto status = read_object(image, built, path);
        if (status) continue;
        ++failures;
        EXPECT_EQ(status.error().code, Errc::io) << path << ": " << status.error().message();
        EXPECT_EQ(to_errno(status.error()), EIO);
    }
    return failures;
}

TEST(Storage, EveryReadMayFailOnce) {
    const auto built = sample_tree().build();
    std::uint64_t reads = 0;
    {
        const auto faults = std::make_shared<Faults>();
        const auto image = open_image(built, faults);
        ASSERT_EQ(count_failures(built, **image), 0U);
        reads = faults->reads;
    }
    ASSERT_GT(reads, 10U);
    for (std::uint64_t number = 1; number <= reads; ++number) {
        SCOPED_TRACE(number);
        const auto faults = std::make_shared<Faults>();
        faults->fail_read = number;
        auto image = open_image(built, faults);
        if (!image) {
            EXPECT_EQ(image.error().code, Errc::io) << image.error().message();
            image = open_image(built, std::make_shared<Faults>());
            EXPECT_TRUE(image);
            continue;
        }
        // One bad read costs one object its answer, not more.
        EXPECT_LE(count_failures(built, **image), 1U);
        EXPECT_EQ(count_failures(built, **image), 0U) << "a failure was remembered";
    }
}

TEST(Storage, FailsForAWhileAndHeals) {
    const auto built = sample_tree().build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults);
    ASSERT_TRUE(image);
    faults->fail_all = true;
    EXPECT_GT(count_failures(built, **image), 5U);
    faults->fail_all = false;
    EXPECT_EQ(count_failures(built, **image), 0U);
}

TEST(Storage, AStaleHandleIsPassedOn) {
    const auto built = sample_tree().build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults);
    faults->sys_errno = ESTALE;
    faults->fail_all = true;
    EXPECT_EQ(to_errno(read_file(**image, "exact").error()), ESTALE);
    faults->fail_all = false;
    EXPECT_EQ(read_file(**image, "exact").value(), built.files.at("exact"));
}

TEST(Storage, TruncatedWhileOpenIsEioForWhatIsLost) {
    const auto built = sample_tree().build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults);
    ASSERT_EQ(count_failures(built, **image), 0U);
    EXPECT_FALSE((*image)->has_changed());
    faults->end = built.get("inode:exact.start");
    EXPECT_TRUE((*image)->has_changed());
    // Whole blocks are not kept by us; cached metadata still answers.
    EXPECT_EQ(to_errno(read_file(**image, "exact").error()), EIO);
    EXPECT_TRUE(list(**image, "dir"));
    faults->end = ~std::uint64_t{0};
    EXPECT_EQ(count_failures(built, **image), 0U);
}

TEST(Storage, TruncatedAtAnyPointWhileOpen) {
    const auto built = sample_tree().build();
    for (std::uint64_t end = 0; end < built.bytes.size(); end += 509) {
        const auto faults = std::make_shared<Faults>();
        const auto image = open_image(built, faults);
        faults->end = end;
        (void)count_failures(built, **image);
        faults->end = ~std::uint64_t{0};
        EXPECT_EQ(count_failures(built, **image), 0U);
    }
}

TEST(Storage, ManyReadersShareAFailureAndRecover) {
    const auto built = sample_tree().build();
    const auto faults = std::make_shared<Faults>();
    const auto image = open_image(built, faults);
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 300; ++i) {
                    if (t == 0) faults->fail_all = i % 2 == 0;
                    for (const char* path : {"small", "exact", "dir/c/leaf"}) {
                        const auto status = read_object(**image, built, path);
                        if (!status && status.error().code != Errc::io) ++wrong;
                    }
                }
            });
    }
    EXPECT_EQ(wrong, 0);
    faults->fail_all = false;
    EXPECT_EQ(count_failures(built, **image), 0U);
}

class OnDisk : public testing::Test {
  protected:
    OnDisk() {
        const int fd = ::mkstemp(path_.data());
        EXPECT_EQ(::write(fd, built_.bytes.data(), built_.bytes.size()),
                  static_cast<ssize_t>(built_.bytes.size()));
        ::close(fd);
    }
    ~OnDisk() override { ::unlink(path_.c_str()); }

    BuiltImage built_ = sample_tree().build();
    std::string path_ = testing::TempDir() + "squenv-storage-XXXXXX";
};

TEST_F(OnDisk, ATruncatedFileIsEio) {
    const auto image = image::Image::open(path_);
    ASSERT_TRUE(image);
    ASSERT_EQ(::truncate(path_.c_str(), 100), 0);
    EXPECT_EQ(to_errno(read_file(**image, "exact").error()), EIO);
    EXPECT_TRUE((*image)->has_changed());
}

TEST_F(OnDisk, AnOverwrittenFileIsNeverAMissingName) {
    const auto image = image::Image::open(path_);
    ASSERT_TRUE(image);
    const int fd = ::open(path_.c_str(), O_WRONLY);
    const ByteVector noise(built_.bytes.size(), std::byte{0x5A});
    ASSERT_EQ(::pwrite(fd, noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
    ::close(fd);
    const auto listed = list(**image, "");
    if (!listed) {
        EXPECT_EQ(to_errno(listed.error()), EIO);
    }
    const auto read = (*image)->resolve("dir/c/leaf");
    if (!read) {
        EXPECT_EQ(to_errno(read.error()), EIO);
    }
    EXPECT_TRUE((*image)->has_changed());
}

TEST_F(OnDisk, AFileReplacedByRenameStaysTheOldOne) {
    const auto image = image::Image::open(path_);
    ASSERT_TRUE(image);
    const std::string other = path_ + ".new";
    ::close(::open(other.c_str(), O_CREAT | O_WRONLY, 0600));
    ASSERT_EQ(::rename(other.c_str(), path_.c_str()), 0);
    EXPECT_EQ(count_failures(built_, **image), 0U);
}

}  // namespace
}  // namespace squenv::test
