// SPDX-License-Identifier: MIT
#include "prefetch/fragment_plan.h"

#include <algorithm>

namespace squenv::prefetch {

namespace {
/// Fragment blocks read ahead at most: 1 MiB of content at the usual block size.
constexpr unsigned kMaxDepth = 8;
}  // namespace

unsigned FragmentPlan::on_answer(std::uint32_t fragment) {
    depth_ = is_next(fragment) ? std::min(depth_ * 2 + 1, kMaxDepth) : 0;
    last_ = fragment;
    return depth_;
}

}  // namespace squenv::prefetch
