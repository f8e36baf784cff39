// SPDX-License-Identifier: MIT
#include "fuse/recorder.h"

#include <algorithm>
#include <limits>

#include "appendix/appendix.h"
#include "image/first_paths.h"

namespace squenv::fuse {

namespace {

/// No image takes more of it.
constexpr std::size_t kMaxTouches = appendix::kMaxHotItems;
constexpr std::size_t kMaxNames = appendix::kMaxHotListBytes;

std::string join(const std::string& directory, std::string_view name) {
    return directory == "." ? std::string(name) : directory + '/' + std::string(name);
}

}  // namespace

void Recorder::add(const Touch& touch) {
    if (touches_.size() == kMaxTouches) {
        is_full_ = true;
        return;
    }
    if (touch.use == trace::Use::read && !touches_.empty()) {
        Touch& last = touches_.back();
        constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
        if (last.use == touch.use && last.node == touch.node &&
            last.offset + last.size_bytes == touch.offset &&
            kMax - last.size_bytes > touch.size_bytes) {
            last.size_bytes += touch.size_bytes;
            return;
        }
    }
    touches_.push_back(touch);
}

void Recorder::note(trace::Use use, NodeId node, std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    add({node, offset, static_cast<std::uint32_t>(size), use});
}

void Recorder::note_missing(NodeId directory, std::string_view name) {
    const std::lock_guard lock(mutex_);
    if (missing_names_.size() + name.size() > kMaxNames) {
        is_full_ = true;
        return;
    }
    const std::size_t begin = missing_names_.size();
    missing_names_ += name;
    add({directory, begin, static_cast<std::uint32_t>(name.size()), trace::Use::miss});
}

void Recorder::note_duration(RequestKind kind, NodeId node, std::uint64_t microseconds,
                             std::uint64_t offset, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    if (slowest_.size() == trace::kMaxSlow && slowest_.back().microseconds >= microseconds) return;
    if (slowest_.size() == trace::kMaxSlow) slowest_.pop_back();
    const auto place = std::find_if(slowest_.begin(), slowest_.end(), [&](const Slow& other) {
        return other.microseconds < microseconds;
    });
    slowest_.insert(place, {microseconds, node, offset, size, kind});
}

std::string_view Recorder::missing_name_of(const Touch& touch) const {
    return std::string_view(missing_names_).substr(touch.offset, touch.size_bytes);
}

trace::Trace Recorder::finish(const FileSystem& file_system,
                              const RequestCounters& counters) const {
    const std::lock_guard lock(mutex_);
    const auto key_of = [&](NodeId node) { return file_system.reference(node).raw(); };
    image::PathsByInode paths;
    for (const Touch& touch : touches_) paths.try_emplace(key_of(touch.node));
    for (const Slow& slow : slowest_) paths.try_emplace(key_of(slow.node));
    // What lies in a directory that cannot be read has no path.
    (void)image::find_first_paths(file_system.image(), paths);

    trace::Trace raw;
    raw.is_full = is_full_;
    for (std::size_t i = 0; i < static_cast<std::size_t>(RequestKind::count); ++i) {
        const auto kind = static_cast<RequestKind>(i);
        if (counters.of(kind) != 0) raw.requests[request_name(kind)] = counters.of(kind);
    }
    for (const Slow& slow : slowest_)
        if (const std::string& path = paths[key_of(slow.node)]; !path.empty())
            raw.slowest.push_back(
                {slow.microseconds, request_name(slow.kind), slow.offset, slow.size_bytes, path});
    for (const Touch& touch : touches_) {
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
