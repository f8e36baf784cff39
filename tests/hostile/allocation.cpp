// SPDX-License-Identifier: MIT
#include "allocation.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> peak{0};
std::atomic<std::uint64_t> failing{0};

void* allocate(std::size_t size) {
    if (failing != 0 && --failing == 0) throw std::bad_alloc();
    void* memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    const std::size_t now = in_use += ::malloc_usable_size(memory);
    std::size_t highest = peak;
    while (now > highest && !peak.compare_exchange_weak(highest, now)) {
    }
    return memory;
}

void release(void* memory) {
    if (memory == nullptr) return;
    in_use -= ::malloc_usable_size(memory);
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate(size);
}
void* operator new[](std::size_t size) {
    return allocate(size);
}
// Sorting asks for its buffer this way.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    try {
        return allocate(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    release(memory);
}
void operator delete(void* memory) noexcept {
    release(memory);
}
void operator delete[](void* memory) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    release(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    release(memory);
}

namespace squenv::test {

AllocationWatch::AllocationWatch() : start_(in_use) {
    peak = start_;
}

std::size_t AllocationWatch::peak_bytes() const {
    return peak - start_;
}

bool fail_allocation(std::uint64_t number) {
    return failing.exchange(number) == 0;
}

}  // namespace squenv::test
