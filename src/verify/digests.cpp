// SPDX-License-Identifier: MIT
#include "verify/digests.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <set>

#include "base/sha256.h"
#include "base/threads.h"
#include "image/walk.h"

namespace squenv::verify {

namespace {

using appendix::BlockDigest;

/// No packer records larger pieces: a data block or a piece of a table.
constexpr std::uint32_t kLargestPiece = format::kMaxBlockSize;

Error damage(std::string context) {
    return Error{Errc::corrupt, 0, std::move(context), {}};
}

Status compare(const image::Image& image, const BlockDigest& expected, ByteVector& buffer) {
    if (expected.size_bytes > kLargestPiece)
        return fail(Errc::corrupt, "appendix: a digest of an impossible range");
    buffer.resize(expected.size_bytes);
    SQUENV_TRY(image.source().read_exact(expected.position, buffer));
    if (sha256_of(buffer) != expected.digest)
        return fail(Errc::corrupt, "differs from its recorded digest");
    return {};
}

/// The ranges whose bytes are not what was packed, by position.
std::vector<BlockDigest> find_damage(const image::Image& image,
                                     const std::vector<BlockDigest>& digests, unsigned threads) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;  // protects damaged
    std::vector<BlockDigest> damaged;
    const auto work = [&] {
        ByteVector buffer;
        for (std::size_t i = next++; i < digests.size(); i = next++) {
            if (compare(image, digests[i], buffer)) continue;
            std::lock_guard lock(mutex);
            damaged.push_back(digests[i]);
        }
    };
    run_on_threads(threads, work);
    std::sort(damaged.begin(), damaged.end(),
              [](const BlockDigest& a, const BlockDigest& b) { return a.position < b.position; });
    return damaged;
}

/// Index of the range that holds `position`, or nothing.
std::optional<std::size_t> range_at(const std::vector<BlockDigest>& ranges,
                                    std::uint64_t position) {
    const auto after = std::upper_bound(
        ranges.begin(), ranges.end(), position,
        [](std::uint64_t value, const BlockDigest& range) { return value < range.position; });
    if (after == ranges.begin()) return std::nullopt;
    const auto range = after - 1;
    if (position - range->position >= range->size_bytes) return std::nullopt;
    return static_cast<std::size_t>(range - ranges.begin());
}

/// Says which files the damaged ranges belong to.
DigestDamage name_files(const image::Image& image, const std::vector<BlockDigest>& damaged) {
    DigestDamage found;
    std::set<std::size_t> named;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        if (!inode.is_file()) return true;
        bool is_damaged = false;
        // An unreadable list shows in the check of the content.
        (void)image.data().visit_places(inode, [&](const image::BlockPlace& place) {
            if (const auto range = range_at(damaged, place.position)) {
                named.insert(*range);
                is_damaged = true;
            }
        });
        if (is_damaged) found.files.push_back(path);
        return true;
    };
    visitor.failed = [](const std::string&, const Error&) { return true; };
    image::walk(image, image.root(), visitor);
    for (std::size_t i = 0; i < damaged.size(); ++i)
        if (!named.contains(i))
            found.others.push_back(
                damage(fmt::format("metadata at {}: {} bytes differ from their recorded digest",
                                   damaged[i].position, damaged[i].size_bytes)));
    return found;
}

}  // namespace

Error damaged_file() {
    return damage("stored bytes differ from their recorded digest");
}

Result<DigestDamage> find_digest_damage(const image::Image& image, unsigned threads) {
    SQUENV_TRY_ASSIGN(const auto appendix, image.appendix());
    if (!appendix) return DigestDamage();
    const auto damaged = find_damage(image, appendix->digests, threads);
    return damaged.empty() ? DigestDamage() : name_files(image, damaged);
}

void check_digests(const image::Image& image, unsigned threads, ErrorList& errors) {
    const auto damage = find_digest_damage(image, threads);
    if (!damage && is_short_of_memory(damage.error())) throw std::bad_alloc();
    if (!damage) return errors.add(damage.error());
    for (const std::string& path : damage->files) errors.add(path, damaged_file());
    for (const Error& error : damage->others) errors.add(error);
}

}  // namespace squenv::verify
