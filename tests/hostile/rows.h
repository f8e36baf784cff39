// SPDX-License-Identifier: MIT
// A damaged image and what must become of it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "support/reading.h"

namespace squenv::test {

/// What an image is good for.
struct Verdict {
    enum class Kind { refuse, eio, accept } kind = Kind::accept;
    Errc code = Errc::corrupt;          ///< refuse
    std::vector<std::string> broken{};  ///< eio: these objects and what is below them
};
inline Verdict refuse(Errc code = Errc::corrupt) {
    return {Verdict::Kind::refuse, code, {}};
}
inline Verdict eio(std::vector<std::string> broken) {
    return {Verdict::Kind::eio, Errc::corrupt, std::move(broken)};
}
inline Verdict accept() {
    return {};
}

/// One row of the table of known attacks: a sample tree, one change, one verdict.
struct Row {
    std::string name;
    std::function<void(BuiltImage&)> damage;
    Verdict verdict;
    std::function<void(ImageBuilder&)> prepare{};  ///< before the image is built
    BuildOptions options{};
};
inline void PrintTo(const Row& row, std::ostream* out) {
    *out << row.name;
}

inline bool is_below(const std::string& path, const std::vector<std::string>& broken) {
    for (const auto& start : broken)
        if (path == start || start.empty() || path.starts_with(start + '/')) return true;
    return false;
}

/// Reads everything twice: the second time a failed object must still fail, and a good one must
/// still be good, whatever the caches hold by then.
inline void expect_verdict(const BuiltImage& built, const Verdict& verdict) {
    const auto image = open_image(built);
    if (verdict.kind == Verdict::Kind::refuse) {
        ASSERT_FALSE(image) << "was opened";
        EXPECT_EQ(image.error().code, verdict.code) << image.error().message();
        EXPECT_FALSE(image.error().context.empty());
        return;
    }
    ASSERT_TRUE(image) << image.error().message();
    for (int round = 0; round < 2; ++round)
        for (const auto& path : all_paths(built)) {
            SCOPED_TRACE(path);
            const auto status = read_object(**image, built, path);
            if (is_below(path, verdict.broken)) {
                ASSERT_FALSE(status) << "is bad, but was read";
                EXPECT_EQ(status.error().code, Errc::corrupt) << status.error().message();
                EXPECT_EQ(to_errno(status.error()), EIO);
                EXPECT_FALSE(status.error().context.empty());
            } else {
                ASSERT_TRUE(status) << status.error().message();
            }
        }
}

class RowTest : public testing::TestWithParam<Row> {
  protected:
    static void run(const Row& row) {
        auto builder = sample_tree(row.options);
        if (row.prepare) row.prepare(builder);
        auto built = builder.build();
        if (row.damage) row.damage(built);
        expect_verdict(built, row.verdict);
    }
};

inline std::string row_name(const testing::TestParamInfo<Row>& row) {
    return row.param.name;
}

/// A change of one field.
inline std::function<void(BuiltImage&)> set(std::string field, std::uint64_t value) {
    return [field = std::move(field), value](BuiltImage& built) { built.set(field, value); };
}
inline std::function<void(BuiltImage&)> set_text(std::string field, std::string text) {
    return [field = std::move(field), text = std::move(text)](BuiltImage& built) {
        built.set_text(field, text);
    };
}

}  // namespace squenv::test
