// SPDX-License-Identifier: MIT
#include "pack/data_ranges.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace squenv::pack {
namespace {

/// An unnamed file of zeros.
class DataRangesTest : public ::testing::Test {
  protected:
    DataRangesTest() {
        std::string name = (std::filesystem::temp_directory_path() / "squenv-data-XXXXXX").string();
        file_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
        ::unlink(name.c_str());
    }
    void resize(std::uint64_t size) {
        ASSERT_EQ(::ftruncate(file_.get(), static_cast<off_t>(size)), 0);
        size_ = size;
    }
    void write(std::uint64_t at, const std::string& text) {
        ASSERT_EQ(::pwrite(file_.get(), text.data(), text.size(), static_cast<off_t>(at)),
                  static_cast<ssize_t>(text.size()));
        size_ = std::max<std::uint64_t>(size_, at + text.size());
    }
    /// That what is not in a range is zero, and the ranges are in order.
    void expect_complete(const std::vector<DataRange>& ranges) {
        std::uint64_t at = 0;
        for (const DataRange& range : ranges) {
            ASSERT_LE(at, range.begin);
            ASSERT_LT(range.begin, range.end);
            expect_zeros(at, range.begin);
            at = range.end;
        }
        ASSERT_LE(at, size_);
        expect_zeros(at, size_);
    }
    void expect_zeros(std::uint64_t begin, std::uint64_t end) {
        std::string piece(end - begin, 'x');
        ASSERT_EQ(::pread(file_.get(), piece.data(), piece.size(), static_cast<off_t>(begin)),
                  static_cast<ssize_t>(piece.size()));
        ASSERT_EQ(piece.find_first_not_of('\0'), std::string::npos);
    }

    UniqueFd file_;
    std::uint64_t size_ = 0;
};

TEST_F(DataRangesTest, OfAnEmptyFileAreNone) {
    for (const DataRange& range : data_ranges(file_.get())) EXPECT_EQ(range.end, 0U);
}

TEST_F(DataRangesTest, AreNotTheWholeFileWhereHolesAreKnown) {
    resize(64 << 20);
    write(40 << 20, "data");
    resize(64 << 20);
    const auto ranges = data_ranges(file_.get());
    expect_complete(ranges);
    // Where the file system is not one that is believed, it is read from one end to the other.
    if (ranges != std::vector<DataRange>{{0, 64 << 20}}) {
        ASSERT_EQ(ranges.size(), 1U);
        EXPECT_GE(ranges[0].begin, 39U << 20);
        EXPECT_LE(ranges[0].end, 41U << 20);
    }
}

TEST_F(DataRangesTest, SmallHolesAreReadAlong) {
    for (std::uint64_t i = 0; i < 20; ++i) write(i * 100'000, "data");
    const auto ranges = data_ranges(file_.get());
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0], (DataRange{0, size_}));
}

TEST_F(DataRangesTest, RoomThatIsReservedChangesNothing) {
    resize(16 << 20);
    write(9 << 20, "data");
    resize(16 << 20);
    if (::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, 2 << 20) != 0)
        GTEST_SKIP() << "no fallocate(2) here";
    expect_complete(data_ranges(file_.get()));
}

TEST_F(DataRangesTest, LeaveOutZerosOnly) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        resize(0);
        const auto pieces = random() % 40;
        for (std::uint64_t i = 0; i < pieces; ++i)
            write(random() % (24U << 20), std::string(1 + random() % 9000, 'd'));
        resize(size_ + random() % (4U << 20));
        expect_complete(data_ranges(file_.get()));
    }
}

}  // namespace
}  // namespace squenv::pack
