// SPDX-License-Identifier: MIT
#include "verify/verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
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
    /// A shortage of memory is no damage: it ends the check.
    void failed(const std::string& path, const Error& error) {
        if (squenv::is_short_of_memory(error))
            ran_out_of_memory();
        else
            errors_.add(path, error);
    }
    void ran_out_of_memory() { is_short_of_memory_ = true; }
    [[nodiscard]] bool is_short_of_memory() const { return is_short_of_memory_; }
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
    /// The content in [start, end). For the threads of the queue.
    void check_part(const std::string& path, const image::Inode& inode, std::uint64_t start,
                    std::uint64_t end, std::atomic<bool>& is_broken) noexcept;
    void check_xattrs(const std::string& path, const image::Inode& inode);

    const image::Image& image_;
    WorkQueue& queue_;
    ErrorList& errors_;
    std::uint64_t objects_ = 0;
    std::uint64_t inodes_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<bool> is_short_of_memory_{false};
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
    // One error per file ends the work on it: a size field can promise exabytes.
    const auto is_broken = std::make_shared<std::atomic<bool>>(false);
    for (std::uint64_t start = 0; start < inode.size_bytes && !*is_broken; start += kPieceBytes) {
        const std::uint64_t end = std::min(start + kPieceBytes, inode.size_bytes);
        queue_.submit([this, path, inode, start, end, is_broken] {
            check_part(path, inode, start, end, *is_broken);
        });
    }
}

void Verifier::check_part(const std::string& path, const image::Inode& inode, std::uint64_t start,
                          std::uint64_t end, std::atomic<bool>& is_broken) noexcept {
    const std::uint64_t step = image_.superblock().block_size;
    try {
        for (std::uint64_t offset = start; offset < end && !is_broken && !is_short_of_memory_;
             offset += step) {
            const auto slices = image_.data().read(inode, offset, std::min(step, end - offset));
            if (!slices) {
                if (!is_broken.exchange(true)) failed(path, slices.error());
                return;
            }
            for (const auto& slice : *slices) bytes_ += slice.bytes.size();
        }
    } catch (const std::bad_alloc&) {
        ran_out_of_memory();
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
        return !verifier.is_short_of_memory();
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        verifier.failed(path, error);
        return !verifier.is_short_of_memory();
    };
    try {
        image::walk(image, image.root(), visitor);
        queue.finish();
        if (errors.count() == 0 && !verifier.is_short_of_memory()) verifier.check_links();
        if (!verifier.is_short_of_memory()) check_digests(image, threads, errors);
    } catch (const std::bad_alloc&) {
        verifier.ran_out_of_memory();
    }
    queue.finish();
    VerifyReport report{verifier.objects(), verifier.bytes(), errors.count(), errors.take(),
                        verifier.is_short_of_memory()};
    std::sort(report.errors.begin(), report.errors.end(),
              [](const Error& a, const Error& b) { return a.context < b.context; });
    return report;
}

}  // namespace squenv::verify
