// SPDX-License-Identifier: MIT
// Objects in memory that a process has in common with the processes it forks later.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <new>
#include <type_traits>

#include "base/result.h"

namespace squenv {

template <class Object>
struct UnmapObject {
    void operator()(Object* object) const { ::munmap(object, sizeof(Object)); }
};

/// Each process has a mapping of its own, which ends with its owner. The memory itself ends with
/// the last mapping.
template <class Object>
using SharedObject = std::unique_ptr<Object, UnmapObject<Object>>;

/// Pages that are never touched take no memory. No destructor runs. Errors: limit (no memory).
template <class Object>
[[nodiscard]] Result<SharedObject<Object>> make_shared_object() {
    static_assert(std::is_trivially_destructible_v<Object>);
    void* memory = ::mmap(nullptr, sizeof(Object), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "shared memory");
    // The memory is zero. Default-initialization leaves plain members, and so their pages, alone.
    return SharedObject<Object>(new (memory) Object);
}

}  // namespace squenv
