// SPDX-License-Identifier: MIT
// Any bytes as the log of the versions of an image. Numbers are those that versions have, and what
// is read is written and read as the same.
#include <string>

#include "target.h"
#include "versions/log.h"
#include "versions/place.h"

namespace squenv::fuzz {
namespace {

bool is_same(const versions::Entry& a, const versions::Entry& b) {
    return a.number == b.number && a.time == b.time && a.size_bytes == b.size_bytes &&
           a.mtime_ns == b.mtime_ns && a.digest == b.digest && a.origin.verb == b.origin.verb &&
           a.origin.command == b.origin.command && a.origin.parent == b.origin.parent &&
           a.user == b.user;
}

bool is_number(std::uint64_t number) {
    return versions::parse_version_number(std::to_string(number)) == number;
}

void check_log(const std::string& text) {
    const versions::Log log = versions::parse_log(text);
    std::string written;
    for (const auto& entry : log.entries) {
        require(is_number(entry.number), "a number is one that a version can have");
        written += versions::line_of(entry) + '\n';
    }
    for (const auto number : log.pinned) {
        require(is_number(number), "a pinned number is one that a version can have");
        written += versions::pin_line(number, true, 0) + '\n';
    }
    const versions::Log again = versions::parse_log(written);
    require(again.pinned == log.pinned, "pins are written and read as the same");
    require(again.entries.size() == log.entries.size(), "each entry is one line");
    for (std::size_t i = 0; i < log.entries.size(); ++i)
        require(is_same(again.entries[i], log.entries[i]), "an entry is written and read the same");
}

constexpr const char* kLog =
    "{\"number\":1,\"time\":1764140000,\"size\":4096,\"mtime_ns\":1764140000123456789,"
    "\"digest\":\"ab\",\"verb\":\"pack\",\"command\":\"squenv pack 'a b'\",\"parent\":0,"
    "\"user\":\"alice\"}\n"
    "{\"number\":2,\"time\":-1,\"size\":18446744073709551615,\"verb\":\"rollback\",\"parent\":1}\n"
    "{\"number\":1,\"pinned\":true,\"time\":5}\n{\"number\":1,\"pinned\":false}\n"
    "{\"number\":2,\"pinned\":true,\"later\":[{}]}\n{\"number\":3";

}  // namespace

std::vector<ByteVector> seeds() {
    require(versions::parse_log(kLog).entries.size() == 2, "the lines of a log are read");
    return {bytes_of(kLog), bytes_of("{\"number\":7,\"pinned\":true}"), bytes_of("\n\n[]\n")};
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    squenv::fuzz::check_log(std::string(squenv::as_text(squenv::fuzz::view(data, size))));
    return 0;
}
