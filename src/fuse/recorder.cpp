// SPDX-License-Identifier: MIT
#include "fuse/recorder.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

#include "image/first_paths.h"

namespace squenv::fuse {

namespace {

std::string join(const std::string& directory, std::string_view name) {
    return directory == "." ? std::string(name) : directory + '/' + std::string(name);
}

}  // namespace

void Recorder::add(const Touch& touch) {
    std::size_t& count = memory_.touch_count;
    if (count == memory_.touches.size()) {
        memory_.is_full = true;
        return;
    }
    if (touch.use == trace::Use::read && count != 0) {
        Touch& last = memory_.touches[count - 1];
        constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
        if (last.use == touch.use && last.node == touch.node &&
            last.offset + last.size_bytes == touch.offset &&
            kMax - last.size_bytes > touch.size_bytes) {
            last.size_bytes += touch.size_bytes;
            return;
        }
    }
    memory_.touches[count] = touch;
    std::atomic_signal_fence(std::memory_order_release);
    ++count;
}

void Recorder::note(trace::Use use, NodeId node, std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    add({node, offset, static_cast<std::uint32_t>(size), use});
}

void Recorder::note_missing(NodeId directory, std::string_view name) {
    const std::lock_guard lock(mutex_);
    const std::size_t begin = memory_.name_bytes;
    if (begin + name.size() > memory_.names.size()) {
        memory_.is_full = true;
        return;
    }
    std::copy(name.begin(), name.end(), memory_.names.begin() + static_cast<std::ptrdiff_t>(begin));
    memory_.name_bytes += name.size();
    add({directory, begin, static_cast<std::uint32_t>(name.size()), trace::Use::miss});
}

void Recorder::note_duration(RequestKind kind, NodeId node, std::uint64_t microseconds,
                             std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    auto& all = memory_.slowest;
    std::size_t at = memory_.slow_count;
    if (at == all.size()) {
        if (all.back().microseconds >= microseconds) return;
        --at;
    }
    for (; at != 0 && all[at - 1].microseconds < microseconds; --at) all[at] = all[at - 1];
    all[at] = {microseconds, node, offset, size, kind};
    memory_.slow_count = std::min(memory_.slow_count + 1, all.size());
}

std::string_view Recorder::missing_name_of(const Touch& touch) const {
    return std::string_view(memory_.names.data(), memory_.names.size())
        .substr(touch.offset, touch.size_bytes);
}

trace::Trace Recorder::finish(const FileSystem& file_system,
                              const RequestCounters& counters) const {
    const std::lock_guard lock(mutex_);
    const auto key_of = [&](NodeId node) { return file_system.reference(node).raw(); };
    image::PathsByInode paths;
    for (const Touch& touch : touches()) paths.try_emplace(key_of(touch.node));
    for (const Slow& slow : slowest()) paths.try_emplace(key_of(slow.node));
    // What lies in a directory that cannot be read has no path.
    (void)image::find_first_paths(file_system.image(), paths);

    trace::Trace raw;
    raw.is_full = memory_.is_full;
    for (std::size_t i = 0; i < static_cast<std::size_t>(RequestKind::count); ++i) {
        const auto kind = static_cast<RequestKind>(i);
        if (counters.of(kind) != 0) raw.requests[request_name(kind)] = counters.of(kind);
    }
    for (const Slow& slow : slowest())
        if (const std::string& path = paths[key_of(slow.node)]; !path.empty())
            raw.slowest.push_back(
                {slow.microseconds, request_name(slow.kind), slow.offset, slow.size_bytes, path});
    for (const Touch& touch : touches()) {
        const std::string& path = paths[key_of(touch.node)];
        if (path.empty()) continue;  // its directory cannot be read any more
        if (touch.use == trace::Use::miss)
            raw.items.push_back({touch.use, join(path, missing_name_of(touch)), 0, 0});
        else if (touch.use == trace::Use::read)
            raw.items.push_back({touch.use, path, touch.offset, touch.size_bytes});
        else
            raw.items.push_back({touch.use, path, 0, 0});
    }
    return trace::merge(raw, {});
}

}  // namespace squenv::fuse
