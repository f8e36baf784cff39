// SPDX-License-Identifier: MIT
#include "prefetch/fragment_store.h"

namespace squenv::prefetch {

namespace {
/// A fragment block of 128 KiB holds about twenty files of an environment.
constexpr std::size_t kMaxSiblings = 64;
/// Files the kernel has never heard of, in a row, after which the rest is not tried.
constexpr int kMaxUnknown = 3;
/// More than a small file has.
constexpr std::uint64_t kWholeFile = 1 << 20;

bool is_in_fragment(const image::Inode& file) {
    return file.is_file() && file.has_fragment();
}

}  // namespace

void FragmentStore::before_reply(const image::Inode& file, const image::Block& fragment) {
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (only_one) next_ = store_siblings(file, fragment.bytes());
}

/// Stores the files after `file` whose whole content lies in `fragment`, its decoded fragment
/// block. Returns the first small file after them, which lies in another fragment; nothing when it
/// is not worth going on.
std::optional<image::Inode> FragmentStore::store_siblings(const image::Inode& file,
                                                          ByteView fragment) {
    const std::uint32_t block_size = image_.superblock().block_size;
    std::optional<image::Inode> after;
    std::optional<image::Inode> current = file;
    int unknown = 0;
    for (std::size_t i = 0; i < kMaxSiblings; ++i) {
        current = image_.next_in_table(*current);
        if (!current) break;
        if (!is_in_fragment(*current) || current->size_bytes >= block_size) continue;
        if (current->fragment_index != file.fragment_index) {
            if (!after) after = current;
            continue;
        }
        after.reset();
        const auto content = image::FileData::tail_in(*current, fragment, block_size);
        if (!content) return std::nullopt;
        unknown = pages_.store_file(file_id(*current), *content) ? 0 : unknown + 1;
        if (unknown >= kMaxUnknown) return std::nullopt;
    }
    return after;
}

void FragmentStore::after_reply(const image::Inode& file) {
    const std::unique_lock only_one(storing_, std::try_to_lock);
    if (!only_one || !is_in_fragment(file)) return;
    const unsigned depth = plan_.on_answer(file.fragment_index);
    if (depth != 0) pages_.stop_receiving();
    for (unsigned i = 0; i < depth; ++i)
        if (!store_next()) return;
}

/// The next fragment block. False when it is not worth going on.
bool FragmentStore::store_next() {
    if (!next_ || !is_in_fragment(*next_) || !plan_.is_next(next_->fragment_index)) return false;
    const image::Inode first = *next_;
    const auto content = image_.data().read(first, 0, kWholeFile);
    // A block that was decoded before is in use already, and its files with it.
    if (!content || content->size() != 1 || !content->front().is_new_fragment) return false;
    if (!pages_.store_file(file_id(first), content->front().bytes)) return false;
    plan_.on_stored(first.fragment_index);
    next_ = store_siblings(first, content->front().owner->bytes());
    return true;
}

}  // namespace squenv::prefetch
