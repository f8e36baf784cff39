// SPDX-License-Identifier: MIT
#include "cli/trace_report.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "image/walk.h"

namespace squenv::cli {

namespace {

constexpr std::size_t kMostRead = 10;

/// Adds up the stored blocks that ranges of files need, each once.
class BlockSum {
  public:
    explicit BlockSum(const image::Image& image) : image_(image) {}

    Status add(const image::Inode& file, std::uint64_t offset, std::uint64_t size) {
        const std::uint64_t block_size = image_.superblock().block_size;
        std::uint64_t block = 0;
        const std::uint64_t first = offset / block_size;
        const std::uint64_t end = offset + size;
        const std::uint64_t count = file.block_count(image_.superblock().block_size);
        const bool has_tail = end > count * block_size;
        return image_.data().visit_places(file, [&](const image::BlockPlace& place) {
            // Holes are not visited, so that the numbers are those of a file without any.
            const bool is_wanted =
                block == count ? has_tail : block >= first && block * block_size < end;
            ++block;
            if (is_wanted && seen_.insert(place.position).second) sum_ += place.stored.size_bytes;
        });
    }
    [[nodiscard]] std::uint64_t bytes() const { return sum_; }

  private:
    const image::Image& image_;
    std::unordered_set<std::uint64_t> seen_;
    std::uint64_t sum_ = 0;
};

}  // namespace

TraceReport count(const trace::Trace& trace) {
    TraceReport report;
    std::map<std::string, std::uint64_t> bytes_of;
    for (const trace::Item& item : trace.items) {
        switch (item.use) {
            case trace::Use::look: ++report.looked_at; break;
            case trace::Use::list: ++report.listed; break;
            case trace::Use::link: ++report.links; break;
            case trace::Use::miss: ++report.missing; break;
            case trace::Use::read:
                bytes_of[item.path] += item.size_bytes;
                report.bytes_read += item.size_bytes;
                break;
        }
    }
    report.files_read = bytes_of.size();
    for (const auto& [path, bytes] : bytes_of) report.most_read.push_back({path, bytes});
    std::stable_sort(report.most_read.begin(), report.most_read.end(),
                     [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
    if (report.most_read.size() > kMostRead) report.most_read.resize(kMostRead);
    return report;
}

Result<ImageShare> share_of(const trace::Trace& trace, const image::Image& image) {
    std::unordered_map<std::string, std::vector<const trace::Item*>> items;
    for (const trace::Item& item : trace.items)
        if (item.use != trace::Use::miss) items[item.path].push_back(&item);
    ImageShare share;
    share.stored_bytes = image.superblock().bytes_used;
    BlockSum blocks(image);
    std::unordered_set<std::uint64_t> counted;
    std::uint64_t known = 0;
    Status status;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        if (inode.is_file() && counted.insert(inode.reference.raw()).second) {
            ++share.files;
            share.bytes += inode.size_bytes;
        }
        const auto found = items.find(path.empty() ? "." : path);
        if (found == items.end()) return true;
        ++known;
        for (const trace::Item* item : found->second)
            if (status && item->use == trace::Use::read && inode.is_file())
                status = blocks.add(inode, item->offset, item->size_bytes);
        return status.has_value();
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        status = with_context(error, path);
        return false;
    };
    image::walk(image, image.root(), visitor);
    SQUENV_TRY(status);
    share.touched_stored_bytes = blocks.bytes();
    share.unknown_paths = items.size() - known;
    return share;
}

}  // namespace squenv::cli
