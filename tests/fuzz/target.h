// SPDX-License-Identifier: MIT
// What every fuzz target is made of: valid inputs to begin with, and a function that takes any
// bytes and compares what the parser promises. replay.cpp runs it in the ordinary test run,
// libFuzzer in builds for that.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

/// The name that libFuzzer calls. Ends the process when a promise does not hold.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace squenv::fuzz {

/// Valid inputs, the same ones in every run.
[[nodiscard]] std::vector<ByteVector> seeds();

[[nodiscard]] inline ByteView view(const std::uint8_t* data, std::size_t size) {
    return std::as_bytes(std::span(data, size));
}

[[nodiscard]] inline ByteVector bytes_of(std::string_view text) {
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

/// Ends the process and names the promise, unless that holds. assert() is not in every build.
inline void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", promise);
    std::abort();
}

/// Ends the process when `error` is none that an input may cause.
inline void require_code(const Error& error, std::initializer_list<Errc> allowed) {
    if (std::find(allowed.begin(), allowed.end(), error.code) != allowed.end() &&
        !error.context.empty())
        return;
    std::fprintf(stderr, "no error of an input: %s\n", error.message().c_str());
    std::abort();
}

}  // namespace squenv::fuzz
