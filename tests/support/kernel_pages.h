// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "prefetch/page_cache.h"

namespace squenv::test {

/// Takes what is stored; stands in for the kernel. Thread-safe.
class FakeKernelPages final : public prefetch::KernelPages {
  public:
    bool store(prefetch::FileId id, std::uint64_t offset, ByteView bytes) override {
        const std::lock_guard lock(mutex_);
        ++calls_;
        last_offset_ = offset;
        changed_.notify_all();
        if (is_short_of_memory_) throw std::bad_alloc();
        if (unknown_.contains(id)) return false;
        File& file = files_[id];
        const std::size_t end = offset + bytes.size();
        if (file.bytes.size() < end) {
            file.bytes.resize(end);
            file.is_there.resize(end);
        }
        std::memcpy(file.bytes.data() + offset, bytes.data(), bytes.size());
        std::fill_n(file.is_there.begin() + static_cast<std::ptrdiff_t>(offset), bytes.size(),
                    true);
        largest_ = std::max(largest_, bytes.size());
        return true;
    }
    bool are_requests_waiting() const override { return are_waiting_; }
    bool is_receiving() const override { return is_receiving_; }
    bool store_while_receiving(prefetch::FileId id, std::uint64_t offset, ByteView bytes) override {
        ++guarded_;
        return store(id, offset, bytes);
    }
    void stop_receiving() override { is_receiving_ = false; }

    /// What is there of a file, or "" when something is missing before `size`.
    std::string content(prefetch::FileId file, std::size_t size) {
        const std::string text = content_from(file, 0, size + 1);
        return text.size() == size ? text : "";
    }
    /// What is there of a range; it ends where something is missing.
    std::string content_from(prefetch::FileId file, std::uint64_t offset, std::size_t size) {
        const std::lock_guard lock(mutex_);
        const File& found = files_[file];
        if (offset >= found.bytes.size()) return "";
        const auto begin = found.is_there.begin() + static_cast<std::ptrdiff_t>(offset);
        const auto end = std::find(begin, found.is_there.end(), false);
        return found.bytes.substr(offset, std::min(size, static_cast<std::size_t>(end - begin)));
    }
    bool has(prefetch::FileId file, std::uint64_t offset) {
        return !content_from(file, offset, 1).empty();
    }
    void set_unknown(prefetch::FileId file, bool is_unknown) {
        const std::lock_guard lock(mutex_);
        if (is_unknown)
            unknown_.insert(file);
        else
            unknown_.erase(file);
    }
    void wait_for_calls(unsigned calls) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return calls_ >= calls; });
    }

    /// Every store throws from now on.
    void run_out_of_memory() { is_short_of_memory_ = true; }
    void set_waiting(bool are_waiting) { are_waiting_ = are_waiting; }
    void set_receiving(bool is_receiving) { is_receiving_ = is_receiving; }
    unsigned guarded() const { return guarded_; }
    /// Of the last store.
    std::uint64_t last_offset() {
        const std::lock_guard lock(mutex_);
        return last_offset_;
    }
    /// Bytes of the largest store.
    std::size_t largest() {
        const std::lock_guard lock(mutex_);
        return largest_;
    }

  private:
    struct File {
        std::string bytes;
        std::vector<bool> is_there;
    };
    std::mutex mutex_;  ///< protects the rest
    std::condition_variable changed_;
    std::map<prefetch::FileId, File> files_;
    std::set<prefetch::FileId> unknown_;
    unsigned calls_ = 0;
    std::uint64_t last_offset_ = 0;
    std::size_t largest_ = 0;
    std::atomic<bool> is_short_of_memory_{false};
    std::atomic<bool> are_waiting_{false};
    std::atomic<bool> is_receiving_{false};
    std::atomic<unsigned> guarded_{0};
};

}  // namespace squenv::test
