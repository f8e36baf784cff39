// SPDX-License-Identifier: MIT
// Memory that begins at a page, for large reads.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "base/bytes.h"

namespace squenv {

/// A read of 1 MiB into it touches 256 pages of 4 KiB, what one request of FUSE carries. Into
/// memory that begins inside a page it would touch 257, and be two requests, one after the other.
class PageBuffer {
  public:
    PageBuffer() = default;
    /// The bytes have no value yet. Throws std::bad_alloc.
    explicit PageBuffer(std::size_t size_bytes)
        : memory_(static_cast<std::byte*>(::operator new(size_bytes, kPage))), size_(size_bytes) {}

    [[nodiscard]] MutableBytes bytes() { return {memory_.get(), size_}; }
    [[nodiscard]] ByteView bytes() const { return {memory_.get(), size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    /// The largest page of the processors that Linux knows.
    static constexpr std::align_val_t kPage{64 << 10};
    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, kPage); }
    };

    std::unique_ptr<std::byte, Free> memory_;
    std::size_t size_ = 0;
};

}  // namespace squenv
