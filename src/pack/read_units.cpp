// SPDX-License-Identifier: MIT
#include "pack/read_units.h"

#include <algorithm>
#include <new>

#include "base/threads.h"
#include "pack/threads.h"

namespace squenv::pack {

namespace {

/// Bounds the wait for the first segment when a tree has nothing but tiny files.
constexpr std::size_t kMaxSegments = 512;

std::size_t unit_count(const Options& options) {
    return std::max<std::size_t>(memory_of(options) / 2 / kUnitSize, 3);
}

}  // namespace

UnitReader::UnitReader(const Source& source, const Tree& tree, const Contents& contents,
                       const Options& options, const FileHasher& hasher)
    : source_(source),
      tree_(tree),
      contents_(contents),
      options_(options),
      hasher_(hasher),
      buffers_(unit_count(options), kUnitSize) {
    start_threads(threads_, reader_threads(options), [this] { work(); });
    if (threads_.empty()) own_reader_ = source_.open_reader(tree_);
}

UnitReader::~UnitReader() {
    buffers_.close();
    threads_.clear();
}

void UnitReader::plan_piece(Unit& unit, const Content& content, FileReader& reader) {
    const std::uint64_t size = content.size_bytes;
    // A failure shows again when the piece is read, with its reason.
    const std::uint64_t data = reader.next_data(content.node, next_offset_).value_or(next_offset_);
    const std::uint64_t begin =
        data >= size ? size : std::max(next_offset_, data - data % kUnitSize);
    unit.hole_bytes += begin - next_offset_;
    next_offset_ = begin;
    if (begin < size) {
        Segment segment;
        segment.content = next_content_;
        segment.size_bytes =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(kUnitSize, size - begin));
        segment.offset = begin;
        unit.segments.push_back(segment);
        next_offset_ += segment.size_bytes;
    }
    if (next_offset_ == size) {
        ++next_content_;
        next_offset_ = 0;
    }
}

bool UnitReader::plan(Unit& unit, FileReader& reader) {
    std::size_t used = 0;
    while (next_content_ < contents_.files.size()) {
        const Content& content = contents_.files[next_content_];
        if (content.same_as != kNoContent || content.taken != kNoContent) {
            ++next_content_;
            continue;
        }
        const bool is_small = content.size_bytes <= kUnitSize;
        if (!is_small && unit.segments.empty()) {
            plan_piece(unit, content, reader);
            return true;
        }
        if (!is_small || used + content.size_bytes > kUnitSize ||
            unit.segments.size() == kMaxSegments)
            return true;
        Segment segment;
        segment.content = next_content_++;
        segment.size_bytes = static_cast<std::uint32_t>(content.size_bytes);
        segment.buffer_position = used;
        segment.is_whole = true;
        unit.segments.push_back(segment);
        used += segment.size_bytes;
    }
    return !unit.segments.empty();
}

void UnitReader::read(Unit& unit, FileReader& reader) {
    for (Segment& segment : unit.segments) {
        bool only_check = false;
        {
            std::lock_guard lock(mutex_);
            only_check = only_checks_;
        }
        const EntryId node = contents_.files[segment.content].node;
        const MutableBytes bytes(unit.buffer.get() + segment.buffer_position,
                                 only_check ? 0 : segment.size_bytes);
        const auto status = reader.read(node, segment.offset, bytes);
        if (status && !only_check) {
            if (segment.is_whole && options_.has_duplicates_removed)
                segment.hash = hasher_.of(bytes);
            continue;
        }
        segment.has_failed = true;
        if (status) continue;
        // No fault of the file, which must not be left out for it.
        if (is_short_of_memory(status.error())) throw std::bad_alloc();
        std::lock_guard lock(mutex_);
        problems_.push_back({tree_.path_of(node), status.error().message(), status.error().code});
        only_checks_ = !options_.ignores_unreadable;
    }
}

void UnitReader::work() noexcept {
    try {
        const auto reader = source_.open_reader(tree_);
        while (read_next(*reader)) {
        }
    } catch (...) {
        std::lock_guard lock(mutex_);
        if (!thrown_) thrown_ = std::current_exception();
        is_planned_ = true;
    }
    has_unit_.notify_one();
}

bool UnitReader::read_next(FileReader& reader) {
    Unit unit;
    // The buffer first: units under way are then always the lowest ones, and the thread that
    // takes them out in order never waits for one that has no buffer.
    std::uint64_t number = 0;
    {
        auto buffer = buffers_.acquire();
        std::lock_guard lock(mutex_);
        if (!buffer || is_planned_) return false;
        if (is_cancelled(options_) || !plan(unit, reader)) {
            is_planned_ = true;
            return false;
        }
        unit.buffer = std::move(buffer);
        number = units_planned_++;
    }
    read(unit, reader);
    std::lock_guard lock(mutex_);
    ready_.emplace(number, std::move(unit));
    if (number == units_taken_) has_unit_.notify_one();
    return true;
}

Result<std::optional<Unit>> UnitReader::next() {
    if (own_reader_) (void)read_next(*own_reader_);
    std::unique_lock lock(mutex_);
    has_unit_.wait(lock, [this] {
        return ready_.contains(units_taken_) || thrown_ ||
               (is_planned_ && units_taken_ == units_planned_);
    });
    if (thrown_) std::rethrow_exception(thrown_);
    if (is_cancelled(options_)) return cancelled();
    const auto found = ready_.find(units_taken_);
    if (found == ready_.end()) return std::optional<Unit>();
    Unit unit = std::move(found->second);
    ready_.erase(found);
    ++units_taken_;
    return std::optional<Unit>(std::move(unit));
}

std::vector<Finding> UnitReader::take_problems() {
    threads_.clear();
    std::sort(problems_.begin(), problems_.end(),
              [](const Finding& a, const Finding& b) { return a.path < b.path; });
    const auto end =
        std::unique(problems_.begin(), problems_.end(),
                    [](const Finding& a, const Finding& b) { return a.path == b.path; });
    problems_.erase(end, problems_.end());
    return std::move(problems_);
}

}  // namespace squenv::pack
