// SPDX-License-Identifier: MIT
#include "image/neighbourhoods.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/background_threads.h"
#include "base/checked.h"

namespace squenv::image {

namespace {

/// Requests in flight besides those of the callers.
constexpr unsigned kReaders = 4;
/// Neighbourhoods ahead of a caller, while they are used.
constexpr std::uint64_t kReach = 4;
/// Fewer samples decide nothing.
constexpr std::uint64_t kFewSamples = 8;
/// One in this many that were read ahead must be used.
constexpr std::uint64_t kUsefulShare = 3;

}  // namespace

Neighbourhoods::Neighbourhoods(Read read, std::uint64_t size_bytes)
    : read_(std::move(read)), size_bytes_(size_bytes), cache_(kBudget, 1) {
}

Neighbourhoods::~Neighbourhoods() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
    }
    has_work_.notify_all();
}

std::uint64_t Neighbourhoods::begin_of(std::uint64_t index) const {
    const std::uint64_t end = end_of(index);
    return end > kSize ? end - kSize : 0;
}

Result<Neighbourhoods::Pointer> Neighbourhoods::obtain(std::uint64_t index, bool is_ahead) {
    using Loaded = ShardedCache<std::uint64_t, Neighbourhood>::Loaded;
    return cache_.get_or_load(index, [&]() -> Result<Loaded> {
        auto made = std::make_shared<Neighbourhood>();
        made->is_ahead = is_ahead;
        made->memory = PageBuffer(end_of(index) - begin_of(index));
        read_count_.fetch_add(1, std::memory_order_relaxed);
        if (is_ahead) ahead_count_.fetch_add(1, std::memory_order_relaxed);
        SQUENV_TRY(read_(begin_of(index), made->memory.bytes()));
        const std::size_t cost = made->memory.size();
        return Loaded{std::move(made), cost};
    });
}

void Neighbourhoods::expect(std::span<const ByteRange> parts) {
    if (readers_.empty()) return;
    {
        const std::lock_guard lock(mutex_);
        is_told_ = !parts.empty();
        expected_.clear();  // of a caller that has got them by now
        for (const ByteRange& part : parts) {
            if (part.size_bytes == 0 || !fits(part.position, part.size_bytes, size_bytes_))
                continue;
            const std::uint64_t last = index_of(part.position + part.size_bytes - 1);
            for (std::uint64_t index = index_of(part.position) + 1; index-- > last;)
                if (expected_.empty() || expected_.back() != index) expected_.push_back(index);
        }
    }
    has_work_.notify_all();
}

Status Neighbourhoods::read(std::uint64_t position, MutableBytes out) {
    while (!out.empty()) {
        if (position >= size_bytes_) return read_(position, out);
        const std::uint64_t index = index_of(position);
        const std::uint64_t end = end_of(index);
        const auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(end - position, out.size()));
        const auto found = obtain(index, false);
        // A bad place elsewhere in the neighbourhood is none of this caller's concern.
        if (!found) return read_(position, out);
        std::memcpy(out.data(), (*found)->memory.bytes().data() + (position - begin_of(index)),
                    size);
        note_use(**found, index);
        position += size;
        out = out.subspan(size);
    }
    return {};
}

void Neighbourhoods::note_use(const Neighbourhood& used, std::uint64_t index) {
    if (used.is_used.exchange(true, std::memory_order_relaxed)) return;
    if (used.is_ahead) useful_count_.fetch_add(1, std::memory_order_relaxed);
    if (!readers_.empty()) plan(index);
}

/// A store that is narrow pays for what is read in vain.
std::uint64_t Neighbourhoods::reach() const {
    const std::uint64_t ahead = ahead_count_.load(std::memory_order_relaxed);
    const std::uint64_t useful = useful_count_.load(std::memory_order_relaxed);
    return ahead < kFewSamples || useful * kUsefulShare >= ahead ? kReach : 1;
}

void Neighbourhoods::plan(std::uint64_t index) {
    const std::uint64_t count = (size_bytes_ + kSize - 1) / kSize;
    {
        const std::lock_guard lock(mutex_);
        // An image that fits is read as a whole, from here on and then what is in front.
        const bool is_small = size_bytes_ <= kBudget;
        if (is_small && has_begun_) return;
        has_begun_ = true;
        wanted_.clear();  // where the callers were before matters less
        const std::uint64_t guesses = is_told_ ? 0 : reach();
        const std::uint64_t most = is_small ? count - 1 : std::min(guesses, index);
        for (std::uint64_t step = 1; step <= most; ++step)
            wanted_.push_back((index + count - step) % count);
    }
    has_work_.notify_all();
}

void Neighbourhoods::read_ahead() {
    std::unique_lock lock(mutex_);
    for (;;) {
        has_work_.wait(lock, [&] { return is_ending_ || !expected_.empty() || !wanted_.empty(); });
        if (is_ending_) return;
        const bool is_guess = expected_.empty();
        auto& next = is_guess ? wanted_ : expected_;
        const std::uint64_t index = next.front();
        next.pop_front();
        lock.unlock();
        try {
            (void)obtain(index, is_guess);
        } catch (const std::bad_alloc&) {
            // It is read when it is wanted.
        }
        lock.lock();
    }
}

void Neighbourhoods::start_readers(const cpu_set_t& processors) {
    (void)start_background_threads(readers_, kReaders, processors, [this] { read_ahead(); });
}

Neighbourhoods::Counters Neighbourhoods::counters() const {
    return {read_count_.load(std::memory_order_relaxed), cache_.counters().used_bytes,
            static_cast<unsigned>(readers_.size())};
}

}  // namespace squenv::image
