// SPDX-License-Identifier: MIT
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "trace/trace.h"

namespace squenv::trace {

namespace {

/// What was read of one file: ends by starts, without overlap.
class Ranges {
  public:
    /// Adds [begin, end) and calls `visit(begin, end)` for the parts that are new, in order.
    template <class Visit>
    void add(std::uint64_t begin, std::uint64_t end, Visit&& visit) {
        auto next = ends_.upper_bound(begin);
        if (next != ends_.begin() && std::prev(next)->second >= begin) --next;
        std::uint64_t at = begin;
        std::uint64_t whole_begin = begin;
        std::uint64_t whole_end = end;
        while (next != ends_.end() && next->first <= end) {
            if (at < next->first) visit(at, next->first);
            at = std::max(at, next->second);
            whole_begin = std::min(whole_begin, next->first);
            whole_end = std::max(whole_end, next->second);
            next = ends_.erase(next);
        }
        if (at < end) visit(at, end);
        ends_[whole_begin] = whole_end;
    }

  private:
    std::map<std::uint64_t, std::uint64_t> ends_;
};

/// Takes items, each touch once.
class Collector {
  public:
    explicit Collector(Trace& out) : out_(out) {}

    void add(const Item& item) {
        if (item.use != Use::read) {
            if (seen_.emplace(item.use, item.path).second) out_.items.push_back(item);
            return;
        }
        if (item.size_bytes == 0) {
            if (seen_.emplace(item.use, item.path).second) out_.items.push_back(item);
            return;
        }
        ranges_[item.path].add(item.offset, item.offset + item.size_bytes,
                               [&](std::uint64_t begin, std::uint64_t end) {
                                   Item part = item;
                                   part.offset = begin;
                                   part.size_bytes = end - begin;
                                   append(std::move(part));
                               });
    }

  private:
    /// A file that is read in small steps is one item.
    void append(Item part) {
        if (!out_.items.empty()) {
            Item& last = out_.items.back();
            if (last.use == Use::read && last.path == part.path &&
                last.offset + last.size_bytes == part.offset) {
                last.size_bytes += part.size_bytes;
                return;
            }
        }
        out_.items.push_back(std::move(part));
    }

    Trace& out_;
    std::set<std::pair<Use, std::string>> seen_;
    std::map<std::string, Ranges> ranges_;
};

}  // namespace

Trace merge(const Trace& first, const Trace& second) {
    Trace merged;
    Collector collector(merged);
    for (const Item& item : first.items) collector.add(item);
    for (const Item& item : second.items) collector.add(item);
    merged.requests = first.requests;
    for (const auto& [kind, count] : second.requests) merged.requests[kind] += count;
    merged.slowest = first.slowest;
    merged.slowest.insert(merged.slowest.end(), second.slowest.begin(), second.slowest.end());
    std::stable_sort(
        merged.slowest.begin(), merged.slowest.end(),
        [](const SlowRequest& a, const SlowRequest& b) { return a.microseconds > b.microseconds; });
    if (merged.slowest.size() > kMaxSlow) merged.slowest.resize(kMaxSlow);
    merged.is_full = first.is_full || second.is_full;
    return merged;
}

}  // namespace squenv::trace
