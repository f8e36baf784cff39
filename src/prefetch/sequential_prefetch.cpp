// SPDX-License-Identifier: MIT
#include "prefetch/sequential_prefetch.h"

#include <utility>

namespace squenv::prefetch {

void SequentialPrefetch::stop() {
    pool_.stop();
    pages_.held().end(HoldReason::walker_beside_stream);
}

bool SequentialPrefetch::on_read(const image::Inode& file, const FileRange& request) {
    return pool_.locked([&] {
        const auto read = plan_.on_read(file, request, Plan::Clock::now());
        if (read.is_stream)
            pages_.held().postpone(HoldReason::walker_beside_stream, plan_.quiet_at());
        if (read.has_moved) pool_.wake_decoders();
        return read.is_stream;
    });
}

bool SequentialPrefetch::is_stream_read() {
    return pool_.locked(
        [&] { return !pool_.is_ending() && plan_.quiet_at() > Plan::Clock::now(); });
}

bool SequentialPrefetch::hold_until_quiet(Pool::Answer answer) {
    return pool_.locked([&] {
        if (pool_.is_ending() || plan_.quiet_at() <= Plan::Clock::now()) return false;
        return pages_.held().hold(HoldReason::walker_beside_stream, {}, SequentialPlan::kQuiet,
                                  [answer = std::move(answer)](bool /*is_late*/) { answer(); });
    });
}

}  // namespace squenv::prefetch
