// SPDX-License-Identifier: MIT
// How much memory the C++ code of this program asked for, and failing allocations on demand.
#pragma once

#include <cstddef>
#include <cstdint>

namespace squenv::test {

/// The most bytes that were in use at once since construction, above what was in use then.
class AllocationWatch {
  public:
    AllocationWatch();
    [[nodiscard]] std::size_t peak_bytes() const;

  private:
    std::size_t start_;
};

/// Lets the n-th allocation from now on throw std::bad_alloc; 0 for none. Returns true when the
/// failure asked for before has happened.
bool fail_allocation(std::uint64_t number);

}  // namespace squenv::test
