// SPDX-License-Identifier: MIT
#include "diff/content.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>

#include "base/sha256.h"
#include "base/work_queue.h"

namespace squenv::diff {

namespace {

constexpr std::uint64_t kPieceBytes = 8U << 20;  ///< of one job on a large file
constexpr std::uint64_t kStepBytes = 1U << 20;   ///< decoded at a time
constexpr std::size_t kMaxWaiting = 64;
constexpr std::size_t kFilesPerJob = 64;

using Parts = std::vector<image::StoredPart>;

/// One image, and what its packer recorded of it.
class Side {
  public:
    explicit Side(const image::Image& image) : image_(image) {
        // A damaged appendix leaves the content to be decoded; 'verify' reports it.
        if (auto appendix = image.appendix(); appendix && *appendix)
            digests_ = std::move((*appendix)->digests);
    }
    [[nodiscard]] const image::Image& image() const { return image_; }
    [[nodiscard]] bool has_digests() const { return !digests_.empty(); }
    [[nodiscard]] Result<Parts> parts(const image::Inode& file) const;
    /// nullptr when none is recorded for exactly this block.
    [[nodiscard]] const Sha256* digest_of(const image::BlockPlace& place) const;
    [[nodiscard]] Result<Sha256> content_digest(const image::Inode& file) const;

  private:
    const image::Image& image_;
    std::vector<appendix::BlockDigest> digests_;
};

Result<Parts> Side::parts(const image::Inode& file) const {
    Parts parts;
    SQUENV_TRY(image_.data().visit_stored(
        file, 0, file.size_bytes, [&](const image::StoredPart& part) { parts.push_back(part); }));
    return parts;
}

const Sha256* Side::digest_of(const image::BlockPlace& place) const {
    const auto found = std::lower_bound(
        digests_.begin(), digests_.end(), place.position,
        [](const appendix::BlockDigest& digest, std::uint64_t at) { return digest.position < at; });
    const bool is_same = found != digests_.end() && found->position == place.position &&
                         found->size_bytes == place.stored.size_bytes;
    return is_same ? &found->digest : nullptr;
}

Result<Sha256> Side::content_digest(const image::Inode& file) const {
    SQUENV_TRY_ASSIGN(const auto slices, image_.data().read(file, 0, file.size_bytes));
    std::size_t next = 0;
    return sha256_of([&]() -> ByteView {
        while (next < slices.size() && slices[next].bytes.empty()) ++next;
        return next < slices.size() ? slices[next++].bytes : ByteView();
    });
}

bool is_stored_alike(const Side& before, const image::StoredPart& a, const Side& after,
                     const image::StoredPart& b) {
    const bool is_same_piece = std::tie(a.file_offset, a.block_offset, a.size_bytes) ==
                                   std::tie(b.file_offset, b.block_offset, b.size_bytes) &&
                               a.place.stored.size_bytes == b.place.stored.size_bytes &&
                               a.place.stored.is_compressed == b.place.stored.is_compressed;
    if (!is_same_piece) return false;
    const Sha256* one = before.digest_of(a.place);
    const Sha256* other = after.digest_of(b.place);
    return one != nullptr && other != nullptr && *one == *other;
}

/// Thread-safe where jobs use it.
class ContentComparison {
  public:
    ContentComparison(const image::Image& before, const image::Image& after,
                      std::vector<FilePair>& pairs)
        : before_(before), after_(after), pairs_(pairs) {
        const auto& a = before.superblock();
        const auto& b = after.superblock();
        is_stored_comparable_ = a.compressor == b.compressor && a.block_size == b.block_size &&
                                before_.has_digests() && after_.has_digests();
        small_bytes_ = std::max(a.block_size, b.block_size);
    }

    [[nodiscard]] Status run(unsigned threads);

  private:
    /// A file that has to be decoded, by where it begins in both images.
    struct Undecided {
        std::size_t pair = 0;
        std::uint64_t before_position = 0;
        std::uint64_t after_position = 0;
        Sha256 before_digest{};
        Sha256 after_digest{};
    };
    using Files = std::vector<Undecided>;
    using Pick = std::size_t;

    [[nodiscard]] Status sort_out();
    void digest_small(WorkQueue& queue, const Side& side, image::Inode FilePair::*inode,
                      std::uint64_t Undecided::*position, Sha256 Undecided::*digest);
    void compare_large(WorkQueue& queue, FilePair& pair);
    [[nodiscard]] Result<bool> is_same(const FilePair& pair, std::uint64_t start,
                                       std::uint64_t end) const;
    void failed(const std::string& path, const Error& error);

    const Side before_;
    const Side after_;
    std::vector<FilePair>& pairs_;
    bool is_stored_comparable_ = false;
    std::uint64_t small_bytes_ = 0;
    Files small_;
    std::vector<std::size_t> large_;
    std::mutex mutex_;  ///< protects error_, and is_different of large pairs
    std::optional<Error> error_;
    std::atomic<bool> has_failed_{false};
};

void ContentComparison::failed(const std::string& path, const Error& error) {
    std::lock_guard lock(mutex_);
    has_failed_ = true;
    if (!error_) error_ = with_context(error, path).value();
}

/// Decides what is stored alike; the rest is small or large.
Status ContentComparison::sort_out() {
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
        FilePair& pair = pairs_[i];
        if (pair.before.size_bytes == 0) continue;
        const auto before = before_.parts(pair.before);
        if (!before) return with_context(before.error(), pair.path);
        const auto after = after_.parts(pair.after);
        if (!after) return with_context(after.error(), pair.path);
        const bool is_alike =
            is_stored_comparable_ && before->size() == after->size() &&
            std::equal(before->begin(), before->end(), after->begin(),
                       [&](const image::StoredPart& a, const image::StoredPart& b) {
                           return is_stored_alike(before_, a, after_, b);
                       });
        if (is_alike) continue;
        if (pair.before.size_bytes > small_bytes_) {
            large_.push_back(i);
            continue;
        }
        Undecided file{i};
        if (!before->empty()) file.before_position = before->front().place.position;
        if (!after->empty()) file.after_position = after->front().place.position;
        small_.push_back(file);
    }
    return {};
}

/// In the order in which they are stored, so that a fragment block is decoded once.
void ContentComparison::digest_small(WorkQueue& queue, const Side& side,
                                     image::Inode FilePair::*inode,
                                     std::uint64_t Undecided::*position,
                                     Sha256 Undecided::*digest) {
    std::sort(small_.begin(), small_.end(), [&](const Undecided& a, const Undecided& b) {
        return std::tie(a.*position, a.pair) < std::tie(b.*position, b.pair);
    });
    for (std::size_t begin = 0; begin < small_.size();) {
        std::size_t end = begin + 1;
        while (end < small_.size() && end - begin < kFilesPerJob &&
               small_[end].*position == small_[begin].*position)
            ++end;
        queue.submit([this, &side, inode, digest, begin, end] {
            for (std::size_t i = begin; i < end && !has_failed_; ++i) {
                const FilePair& pair = pairs_[small_[i].pair];
                auto found = side.content_digest(pair.*inode);
                if (!found) return failed(pair.path, found.error());
                small_[i].*digest = *found;
            }
        });
        begin = end;
    }
}

Result<bool> ContentComparison::is_same(const FilePair& pair, std::uint64_t start,
                                        std::uint64_t end) const {
    for (std::uint64_t offset = start; offset < end; offset += kStepBytes) {
        const std::uint64_t size = std::min(kStepBytes, end - offset);
        SQUENV_TRY_ASSIGN(const auto a, before_.image().data().read(pair.before, offset, size));
        SQUENV_TRY_ASSIGN(const auto b, after_.image().data().read(pair.after, offset, size));
        auto slice = b.begin();
        std::size_t used = 0;  // of *slice
        for (const auto& piece : a) {
            for (ByteView left = piece.bytes; !left.empty();) {
                if (slice == b.end()) return fail(Errc::corrupt, "shorter than it says");
                const std::size_t common = std::min(left.size(), slice->bytes.size() - used);
                if (common != 0 &&
                    std::memcmp(left.data(), slice->bytes.data() + used, common) != 0)
                    return false;
                left = left.subspan(common);
                used += common;
                if (used == slice->bytes.size()) {
                    ++slice;
                    used = 0;
                }
            }
        }
    }
    return true;
}

void ContentComparison::compare_large(WorkQueue& queue, FilePair& pair) {
    const auto is_over = std::make_shared<std::atomic<bool>>(false);
    const std::uint64_t size = pair.before.size_bytes;
    for (std::uint64_t start = 0; start < size && !*is_over; start += kPieceBytes) {
        queue.submit([this, &pair, start, end = std::min(start + kPieceBytes, size), is_over] {
            if (*is_over || has_failed_) return;
            const auto same = is_same(pair, start, end);
            if (!same) failed(pair.path, same.error());
            if (same && *same) return;
            is_over->store(true);
            std::lock_guard lock(mutex_);
            pair.is_different = true;
        });
    }
}

Status ContentComparison::run(unsigned threads) {
    SQUENV_TRY(sort_out());
    {
        WorkQueue queue(threads, kMaxWaiting);
        digest_small(queue, before_, &FilePair::before, &Undecided::before_position,
                     &Undecided::before_digest);
        queue.finish();
    }
    WorkQueue queue(threads, kMaxWaiting);
    digest_small(queue, after_, &FilePair::after, &Undecided::after_position,
                 &Undecided::after_digest);
    for (const std::size_t i : large_) compare_large(queue, pairs_[i]);
    queue.finish();
    if (error_) return tl::unexpected(*error_);
    for (const Undecided& file : small_)
        pairs_[file.pair].is_different = file.before_digest != file.after_digest;
    return {};
}

}  // namespace

Status compare_contents(const image::Image& before, const image::Image& after,
                        std::vector<FilePair>& pairs, unsigned threads) {
    return ContentComparison(before, after, pairs).run(threads);
}

}  // namespace squenv::diff
