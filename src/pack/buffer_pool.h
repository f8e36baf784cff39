// SPDX-License-Identifier: MIT
// A fixed number of buffers of one size: the memory bound of the content pass.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "base/bytes.h"

namespace squenv::pack {

/// Thread-safe. Buffers are made when first needed and reused; they may outlive the pool.
///
/// A thread that found none waits until `wake_at` are free, so that it is not woken for each one.
/// More than 1 is for pools from which one thread takes, and where what is taken comes back
/// without that thread's doing.
class BufferPool {
  public:
    using Buffer = std::shared_ptr<std::byte[]>;

    BufferPool(std::size_t count, std::size_t size_bytes, std::size_t wake_at = 1)
        : state_(std::make_shared<State>()), size_bytes_(size_bytes) {
        state_->free_count = count;
        state_->idle.reserve(count);  // what gives a buffer back must not fail
        state_->wake_at = std::clamp<std::size_t>(wake_at, 1, count);
    }

    /// Waits for a free buffer; null once the pool is closed. The contents are undefined. Throws
    /// std::bad_alloc; the pool is as before then.
    [[nodiscard]] Buffer acquire() {
        std::unique_ptr<std::byte[]> memory;
        {
            std::unique_lock lock(state_->mutex);
            if (state_->free_count == 0)
                state_->changed.wait(lock, [this] {
                    return state_->free_count >= state_->wake_at || state_->is_closed;
                });
            if (state_->is_closed) return nullptr;
            --state_->free_count;
            if (!state_->idle.empty()) {
                memory = std::move(state_->idle.back());
                state_->idle.pop_back();
            }
        }
        if (!memory) memory.reset(new (std::nothrow) std::byte[size_bytes_]);
        if (!memory) {
            give_back(*state_, nullptr);
            throw std::bad_alloc();
        }
        return {memory.release(), [state = state_](std::byte* bytes) { give_back(*state, bytes); }};
    }

    /// Makes every acquire() return null, now and later.
    void close() {
        {
            std::lock_guard lock(state_->mutex);
            state_->is_closed = true;
        }
        state_->changed.notify_all();
    }

    [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }

  private:
    struct State {
        std::mutex mutex;  ///< protects everything below
        std::condition_variable changed;
        std::vector<std::unique_ptr<std::byte[]>> idle;
        std::size_t free_count = 0;
        std::size_t wake_at = 1;
        bool is_closed = false;
    };

    /// `bytes` is null for a buffer that could not be made.
    static void give_back(State& state, std::byte* bytes) {
        {
            std::lock_guard lock(state.mutex);
            if (bytes != nullptr) state.idle.emplace_back(bytes);
            if (++state.free_count < state.wake_at) return;
        }
        state.changed.notify_one();
    }

    std::shared_ptr<State> state_;
    std::size_t size_bytes_;
};

}  // namespace squenv::pack
