// SPDX-License-Identifier: MIT
#include "verify/verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <unordered_map>

#include "base/cpus.h"
#include "base/error_list.h"
#include "base/work_queue.h"
#include "image/walk.h"
#include "verify/digests.h"

namespace squenv::verify {

namespace {

constexpr std::uint64_t kPieceBytes = 8 << 20;
constexpr std::size_t kMaxWaiting = 256;

/// Thread-safe where jobs use it.
class Verifier {
  public:
    Verifier(const image::Image& image, WorkQueue& queue, ErrorList& errors)
        : image_(image), queue_(queue), errors_(errors) {}

    void check(const std::string& path, const image::Inode& inode);
    void failed(const std::string& path, const Error& error) { errors_.add(path, error); }
    /// After the walk and the queue are done, and only of a tree that could be walked as a whole.
    void check_links();
    [[nodiscard]] std::uint64_t objects() const { return objects_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  private:
    struct Seen {
        std::uint64_t names = 0;
        std::uint32_t nlink = 0;
        std::string path;
    };
    void check_content(const std::string& path, const image::Inode& inode);
    void check_xattrs(const std::string& path, const image::Inode& inode);

    const image::Image& image_;
    WorkQueue& queue_;
    ErrorList& errors_;
    std::uint64_t objects_ = 0;
    std::uint64_t inodes_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
    std::unordered_map<std::uint64_t, Seen> linked_;
};

void Verifier::check(const std::string& path, const image::Inode& inode) {
    ++objects_;
    if (!inode.is_directory() && inode.nlink > 1) {
        auto& seen = linked_[inode.reference.raw()];
        if (seen.names++ == 0) {
            seen.nlink = inode.nlink;
            seen.path = path;
        } else {
            return;
        }
    }
    ++inodes_;
    check_xattrs(path, inode);
    if (inode.is_file()) check_content(path, inode);
    if (inode.is_symlink())
        if (auto target = image_.read_link(inode); !target) failed(path, target.error());
}

void Verifier::check_content(const std::string& path, const image::Inode& inode) {
    const std::uint64_t step = image_.superblock().block_size;
    // One error per file ends the work on it: a size field can promise exabytes.
    const auto is_broken = std::make_shared<std::atomic<bool>>(false);
    for (std::uint64_t start = 0; start < inode.size_bytes && !*is_broken; start += kPieceBytes) {
        const std::uint64_t end = std::min(start + kPieceBytes, inode.size_bytes);
        queue_.submit([this, path, inode, start, end, step, is_broken] {
            for (std::uint64_t offset = start; offset < end && !*is_broken; offset += step) {
                const auto slices = image_.data().read(inode, offset, std::min(step, end - offset));
                if (!slices) {
                    if (!is_broken->exchange(true)) failed(path, slices.error());
                    return;
                }
                for (const auto& slice : *slices) bytes_ += slice.bytes.size();
            }
        });
    }
}

void Verifier::check_xattrs(const std::string& path, const image::Inode& inode) {
    const auto read = image_.xattrs().visit(inode, [](const auto&, const auto&) { return true; });
    if (!read) failed(path, read.error());
}

void Verifier::check_links() {
    for (const auto& [reference, seen] : linked_)
        if (seen.names != seen.nlink)
            failed(seen.path,
                   Error{Errc::corrupt,
                         0,
                         fmt::format("link count {}, but {} names", seen.nlink, seen.names),
                         {}});
    // Fewer inodes than announced are unreachable ones; more cannot be.
    if (inodes_ > image_.superblock().inode_count)
        failed("", Error{Errc::corrupt,
                         0,
                         fmt::format("{} inodes, but the superblock says {}", inodes_,
                                     image_.superblock().inode_count),
                         {}});
}

}  // namespace

VerifyReport verify_image(const image::Image& image, const VerifyOptions& options) {
    const unsigned threads = options.threads != 0 ? options.threads : available_cpus();
    WorkQueue queue(threads, kMaxWaiting);
    ErrorList errors;
    Verifier verifier(image, queue, errors);
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        verifier.check(path, inode);
        return true;
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        verifier.failed(path, error);
        return true;
    };
    image::walk(image, image.root(), visitor);
    queue.finish();
    if (errors.count() == 0) verifier.check_links();
    check_digests(image, threads, errors);
    VerifyReport report{verifier.objects(), verifier.bytes(), errors.count(), errors.take()};
    std::sort(report.errors.begin(), report.errors.end(),
              [](const Error& a, const Error& b) { return a.context < b.context; });
    return report;
}

}  // namespace squenv::verify
