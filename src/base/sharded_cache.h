// SPDX-License-Identifier: MIT
// A cache of immutable values, bounded in bytes. Each value is made once, however many threads
// request it at the same time (single flight).
#pragma once

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace squenv {

/// Counters of one cache since it was made.
struct CacheCounters {
    std::uint64_t hits = 0;       ///< found, or made meanwhile by another thread
    std::uint64_t misses = 0;     ///< loader runs
    std::uint64_t evictions = 0;  ///< values dropped to stay inside the budget
    std::uint64_t used_bytes = 0;
    std::uint64_t budget_bytes = 0;
};

/// Thread-safe. The loader runs without any lock held. A failed load is returned to every thread
/// that waited for it, and is not remembered. A value dropped from the cache lives on in the
/// pointers already returned. Least recently used values go first, per shard.
template <class Key, class Value, class Hash = std::hash<Key>>
class ShardedCache {
  public:
    using Pointer = std::shared_ptr<const Value>;
    struct Loaded {
        Pointer value;
        std::size_t cost_bytes = 0;
    };

    ShardedCache(std::size_t budget_bytes, std::size_t shard_count)
        : shard_budget_(budget_bytes / shard_count), shards_(shard_count) {}

    /// The cached value of `key`, or what `load()` (returning Result<Loaded>) makes.
    template <class Load>
    [[nodiscard]] Result<Pointer> get_or_load(const Key& key, Load&& load) {
        Shard& shard = shards_[Hash{}(key) % shards_.size()];
        std::shared_ptr<Flight> flight;
        {
            std::unique_lock lock(shard.mutex);
            if (auto found = shard.entries.find(key); found != shard.entries.end()) {
                shard.order.splice(shard.order.begin(), shard.order, found->second.position);
                hits_.fetch_add(1, std::memory_order_relaxed);
                return found->second.value;
            }
            if (auto other = shard.flights.find(key); other != shard.flights.end()) {
                auto waited = other->second;
                shard.landed.wait(lock, [&] { return waited->done; });
                hits_.fetch_add(1, std::memory_order_relaxed);
                if (!waited->value) return tl::unexpected(waited->error);
                return waited->value;
            }
            flight = std::make_shared<Flight>();
            shard.flights.emplace(key, flight);
        }
        misses_.fetch_add(1, std::memory_order_relaxed);
        std::optional<Result<Loaded>> loaded;  // outlives the landing, which reads it
        const Landing landing{*this, shard, key, *flight, loaded};
        loaded.emplace(std::forward<Load>(load)());
        if (!*loaded) return tl::unexpected(loaded->error());
        return (*loaded)->value;
    }

    /// The cached value, or null. Does not wait for a load under way.
    [[nodiscard]] Pointer find(const Key& key) {
        Shard& shard = shards_[Hash{}(key) % shards_.size()];
        std::lock_guard lock(shard.mutex);
        auto found = shard.entries.find(key);
        if (found == shard.entries.end()) return nullptr;
        shard.order.splice(shard.order.begin(), shard.order, found->second.position);
        hits_.fetch_add(1, std::memory_order_relaxed);
        return found->second.value;
    }

    [[nodiscard]] CacheCounters counters() const {
        CacheCounters sum;
        sum.hits = hits_.load(std::memory_order_relaxed);
        sum.misses = misses_.load(std::memory_order_relaxed);
        sum.evictions = evictions_.load(std::memory_order_relaxed);
        sum.budget_bytes = shard_budget_ * shards_.size();
        for (auto& shard : shards_) {
            std::lock_guard lock(shard.mutex);
            sum.used_bytes += shard.used_bytes;
        }
        return sum;
    }

  private:
    struct Flight {
        bool done = false;
        Pointer value;
        Error error;
    };
    struct Entry {
        Pointer value;
        std::size_t cost_bytes = 0;
        typename std::list<Key>::iterator position;
    };
    struct Shard {
        mutable std::mutex mutex;  ///< protects everything below and the flights it names
        std::condition_variable landed;
        std::unordered_map<Key, Entry, Hash> entries;
        std::unordered_map<Key, std::shared_ptr<Flight>, Hash> flights;
        std::list<Key> order;  ///< most recently used first; one element per entry
        std::size_t used_bytes = 0;
    };

    /// Ends a flight on every way out, an exception of the loader included.
    struct Landing {
        ShardedCache& cache;
        Shard& shard;
        const Key& key;
        Flight& flight;
        const std::optional<Result<Loaded>>& loaded;  ///< empty when the loader threw

        ~Landing() {
            {
                std::lock_guard lock(shard.mutex);
                flight.done = true;
                if (!loaded) {
                    flight.error = out_of_memory();
                } else if (!*loaded) {
                    // Copying the text may fail, and a destructor must not.
                    try {
                        flight.error = loaded->error();
                    } catch (const std::bad_alloc&) {
                        flight.error = out_of_memory();
                    }
                } else {
                    flight.value = (*loaded)->value;
                    cache.insert(shard, key, **loaded);
                }
                shard.flights.erase(key);
            }
            shard.landed.notify_all();
        }
    };

    /// What waiting threads get when the loader threw. Allocates nothing.
    static Error out_of_memory() { return Error{Errc::limit, ENOMEM, {}, {}}; }

    void insert(Shard& shard, const Key& key, const Loaded& loaded) noexcept {
        if (loaded.cost_bytes > shard_budget_) return;
        while (shard.used_bytes + loaded.cost_bytes > shard_budget_ && !shard.order.empty()) {
            auto oldest = shard.entries.find(shard.order.back());
            shard.used_bytes -= oldest->second.cost_bytes;
            shard.entries.erase(oldest);
            shard.order.pop_back();
            evictions_.fetch_add(1, std::memory_order_relaxed);
        }
        try {
            std::list<Key> newest{key};
            shard.entries.emplace(key, Entry{loaded.value, loaded.cost_bytes, newest.begin()});
            shard.order.splice(shard.order.begin(), newest);
            shard.used_bytes += loaded.cost_bytes;
        } catch (const std::bad_alloc&) {
            // No memory to remember it: the value is still served.
        }
    }

    std::size_t shard_budget_;
    std::vector<Shard> shards_;
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint64_t> misses_{0};
    std::atomic<std::uint64_t> evictions_{0};
};

}  // namespace squenv
