// SPDX-License-Identifier: MIT
// Objects in memory that a process has in common with others: with those that it forks later, and
// with programs that get the descriptor of the memory.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace squenv {

/// Ends the mapping of the calling process.
template <class Object>
struct UnmapObject {
    UniqueFd descriptor{};  ///< of the memory; empty when it cannot be passed on
    void operator()(Object* object) const { ::munmap(object, sizeof(Object)); }
};

/// Each process has a mapping of its own, which ends with its owner. The memory itself ends with
/// the last mapping and descriptor.
template <class Object>
using SharedObject = std::unique_ptr<Object, UnmapObject<Object>>;

/// As mmap(2); the memory of `descriptor`, or without a name when that is -1.
inline void* map_shared(std::size_t bytes, int descriptor) {
    const int flags = MAP_SHARED | MAP_NORESERVE | (descriptor < 0 ? MAP_ANONYMOUS : 0);
    return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
}

/// Pages that are never touched take no memory. No destructor runs. Errors: limit (no memory).
template <class Object>
[[nodiscard]] Result<SharedObject<Object>> make_shared_object() {
    static_assert(std::is_trivially_destructible_v<Object>);
    void* memory = map_shared(sizeof(Object), -1);
    if (memory == MAP_FAILED) return fail_errno(errno, "shared memory");
    // The memory is zero. Default-initialization leaves plain members, and so their pages, alone.
    return SharedObject<Object>(new (memory) Object);
}

/// The same in memory with a descriptor, that of the deleter. Where the system refuses one, it is
/// empty. `name` is seen in /proc.
template <class Object>
[[nodiscard]] Result<SharedObject<Object>> make_passable_object(const char* name) {
    static_assert(std::is_trivially_destructible_v<Object>);
    UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), sizeof(Object)) != 0) return make_shared_object<Object>();
    void* memory = map_shared(sizeof(Object), file.get());
    if (memory == MAP_FAILED) return make_shared_object<Object>();
    return SharedObject<Object>(new (memory) Object, UnmapObject<Object>{std::move(file)});
}

/// The object that another program has made so, and has passed the descriptor of. It must mean the
/// same by each of its bytes. Errors: unsupported (another size), limit (no memory).
template <class Object>
[[nodiscard]] Result<SharedObject<Object>> map_passed_object(UniqueFd file) {
    static_assert(std::is_trivially_destructible_v<Object>);
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return fail_errno(errno, "shared memory");
    if (info.st_size != static_cast<off_t>(sizeof(Object)))
        return fail(Errc::unsupported, "shared memory: of another size");
    void* memory = map_shared(sizeof(Object), file.get());
    if (memory == MAP_FAILED) return fail_errno(errno, "shared memory");
    return SharedObject<Object>(static_cast<Object*>(memory), UnmapObject<Object>{std::move(file)});
}

/// -1 when the memory cannot be passed on.
template <class Object>
[[nodiscard]] int descriptor_of(const SharedObject<Object>& object) {
    return object.get_deleter().descriptor.get();
}

}  // namespace squenv
