// SPDX-License-Identifier: MIT
// Any text as a recording. What is read is within its bounds, and is written and read as the same;
// so is what two recordings are merged to.
#include <limits>
#include <string>

#include "base/checked.h"
#include "target.h"
#include "trace/trace.h"

namespace squenv::fuzz {
namespace {

constexpr std::uint64_t kMaxFileSize = std::numeric_limits<std::int64_t>::max();

void check_bounds(const trace::Trace& recording) {
    for (const trace::Item& item : recording.items) {
        require(!item.path.empty(), "an item has a path");
        require(fits(item.offset, item.size_bytes, kMaxFileSize),
                "a range lies in what a file can have");
        require(item.use == trace::Use::read || (item.offset == 0 && item.size_bytes == 0),
                "only what is read has a range");
    }
    require(recording.slowest.size() <= trace::kMaxSlow, "few slow requests are kept");
    for (const trace::SlowRequest& slow : recording.slowest)
        require(!slow.path.empty() && fits(slow.offset, slow.size_bytes, kMaxFileSize),
                "a slow request has a path and a range that a file can have");
}

void check(const trace::Trace& recording) {
    check_bounds(recording);
    const std::string text = trace::encode(recording);
    const auto again = trace::parse(text);
    require(again && *again == recording, "a recording is written and read as the same");
    require(trace::encode(*again) == text, "a recording has one form");
}

trace::Trace example() {
    using trace::Use;
    trace::Trace all;
    all.requests = {{"lookup", 4}, {"read", 2}};
    all.slowest = {{312, "read", 0, 131072, "lib/libz.so.1"}, {90, "lookup", 0, 0, "."}};
    all.items = {{Use::look, "lib", 0, 0},
                 {Use::list, ".", 0, 0},
                 {Use::read, "lib/a b\n\\.so", 4096, 131072},
                 {Use::link, "lib64", 0, 0},
                 {Use::miss, "lib/none.so", 0, 0}};
    return all;
}

}  // namespace

std::vector<ByteVector> seeds() {
    trace::Trace full = example();
    check(full);
    full.is_full = true;
    return {bytes_of(trace::encode(example())), bytes_of(trace::encode(full)),
            bytes_of(trace::encode({}))};
}

}  // namespace squenv::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace squenv;
    using namespace squenv::fuzz;
    const auto recording = trace::parse(as_text(fuzz::view(data, size)));
    if (!recording) {
        require_code(recording.error(), {Errc::corrupt});
        return 0;
    }
    check(*recording);
    check(trace::merge(*recording, {}));
    check(trace::merge(*recording, *recording));
    return 0;
}
