// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "fuse/unanswered_reads.h"

namespace squenv::fuse {

/// Puts bytes into the page cache at an offset of a node; false when the kernel does not know the
/// node. Waits while one of the pages is locked by a READ that is not answered yet.
using StorePages = std::function<bool(NodeId, std::uint64_t offset, ByteView)>;

/// Stores `bytes`, which are those of `range`, without what `reads` are about, and adds what was
/// stored to `stored_bytes`. False when a store is refused; the rest is not tried then.
[[nodiscard]] bool store_range(const StorePages& store, const UnansweredReads& reads,
                               const FileRange& range, ByteView bytes,
                               std::atomic<std::uint64_t>& stored_bytes);

}  // namespace squenv::fuse
