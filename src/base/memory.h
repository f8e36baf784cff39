// SPDX-License-Identifier: MIT
// The end of an exception for want of memory: an error that names what was at work. For where a
// whole command or pass is called, not for single allocations.
#pragma once

#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace squenv {

/// Calls `call`, which returns a Status or a Result, and returns that. Errors: those of `call`, and
/// limit for `object` when it throws std::bad_alloc.
template <class Call>
auto with_memory_errors(const std::string& object, Call&& call) -> decltype(call()) {
    try {
        return std::forward<Call>(call)();
    } catch (const std::bad_alloc&) {
        return fail_memory(object);
    }
}

/// Whether dlerror(3), which has nothing but `text`, means that there was no memory for a library.
[[nodiscard]] inline bool says_no_memory(std::string_view text) {
    return text.find("failed to map segment") != text.npos ||
           text.find("annot allocate memory") != text.npos;
}

}  // namespace squenv
