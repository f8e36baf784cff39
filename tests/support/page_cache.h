// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "fuse/file_system.h"

namespace squenv::test {

/// Takes what is stored; stands in for the page cache. Thread-safe.
class PageCache {
  public:
    std::function<bool(fuse::NodeId, std::uint64_t, ByteView)> store() {
        return [this](fuse::NodeId node, std::uint64_t offset, ByteView bytes) {
            const std::lock_guard lock(mutex_);
            ++calls_;
            changed_.notify_all();
            if (unknown_.contains(node)) return false;
            File& file = files_[node];
            const std::size_t end = offset + bytes.size();
            if (file.bytes.size() < end) {
                file.bytes.resize(end);
                file.is_there.resize(end);
            }
            std::memcpy(file.bytes.data() + offset, bytes.data(), bytes.size());
            std::fill_n(file.is_there.begin() + static_cast<std::ptrdiff_t>(offset), bytes.size(), true);
            return true;
        };
    }
    /// What is there of a node, or "" when something is missing before `size`.
    std::string content(fuse::NodeId node, std::size_t size) {
        const std::string text = content_from(node, 0, size + 1);
        return text.size() == size ? text : "";
    }
    /// What is there of a range; it ends where something is missing.
    std::string content_from(fuse::NodeId node, std::uint64_t offset, std::size_t size) {
        const std::lock_guard lock(mutex_);
        const File& file = files_[node];
        if (offset >= file.bytes.size()) return "";
        const auto begin = file.is_there.begin() + static_cast<std::ptrdiff_t>(offset);
        const auto end = std::find(begin, file.is_there.end(), false);
        return file.bytes.substr(offset, std::min(size, static_cast<std::size_t>(end - begin)));
    }
    bool has(fuse::NodeId node, std::uint64_t offset) {
        return !content_from(node, offset, 1).empty();
    }
    void set_unknown(fuse::NodeId node, bool is_unknown) {
        const std::lock_guard lock(mutex_);
        if (is_unknown)
            unknown_.insert(node);
        else
            unknown_.erase(node);
    }
    void wait_for_calls(unsigned calls) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return calls_ >= calls; });
    }

  private:
    struct File {
        std::string bytes;
        std::vector<bool> is_there;
    };
    std::mutex mutex_;  ///< protects the rest
    std::condition_variable changed_;
    std::map<fuse::NodeId, File> files_;
    std::set<fuse::NodeId> unknown_;
    unsigned calls_ = 0;
};

}  // namespace squenv::test
