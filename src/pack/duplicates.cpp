// SPDX-License-Identifier: MIT
#include "pack/duplicates.h"

#include <sys/random.h>
// The streaming state is kept by value.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <new>
#include <optional>
#include <unordered_map>

#include "base/threads.h"
#include "pack/content_hash.h"
#include "pack/read_units.h"
#include "pack/threads.h"

namespace squenv::pack {

namespace {

Hash128 to_hash(const XXH128_hash_t& hash) {
    return {hash.low64, hash.high64};
}

/// The size goes into the key, so that one comparison decides.
Hash128 key_of(const Hash128& hash, std::uint64_t size_bytes) {
    return {hash.low, hash.high ^ (size_bytes * 0x9E3779B97F4A7C15ULL)};
}

}  // namespace

struct HashStream::State {
    XXH3_state_t hash;
};

HashStream::HashStream(std::uint64_t seed) : state_(std::make_unique<State>()) {
    XXH3_INITSTATE(&state_->hash);
    XXH3_128bits_reset_withSeed(&state_->hash, seed);
}
HashStream::~HashStream() = default;
HashStream::HashStream(HashStream&&) noexcept = default;

void HashStream::add(ByteView bytes) {
    XXH3_128bits_update(&state_->hash, bytes.data(), bytes.size());
}

Hash128 HashStream::result() const {
    return to_hash(XXH3_128bits_digest(&state_->hash));
}

FileHasher::FileHasher() : seed_(0) {
    // Any seed works; without a random one only the protection against prepared files is weaker.
    if (::getrandom(&seed_, sizeof seed_, 0) != sizeof seed_)
        seed_ =
            static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

Hash128 FileHasher::of(ByteView bytes) const {
    return to_hash(XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed_));
}

Result<Hash128> FileHasher::of_file(FileReader& reader, EntryId node, std::uint64_t size_bytes,
                                    const Options& options) const {
    ContentHash hash(*this, kUnitSize);
    ByteVector piece(kUnitSize);
    for (std::uint64_t offset = 0; offset < size_bytes;) {
        if (is_cancelled(options)) return cancelled();
        SQUENV_TRY_ASSIGN(const std::uint64_t data, reader.next_data(node, offset));
        if (data >= size_bytes) break;
        offset = std::max(offset, data - data % kUnitSize);
        const MutableBytes bytes(piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(
                                                   kUnitSize, size_bytes - offset)));
        SQUENV_TRY(reader.read(node, offset, bytes));
        hash.add(offset, bytes);
        offset += bytes.size();
    }
    return hash.result();
}

DuplicateIndex::DuplicateIndex(std::size_t expected)
    : slots_(std::bit_ceil(std::max<std::size_t>(16, expected * 2))) {
}

DuplicateIndex::Slot& DuplicateIndex::slot_of(const Hash128& key) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = key.low & mask;
    while (slots_[at].content != kNoContent && !(slots_[at].key == key)) at = (at + 1) & mask;
    return slots_[at];
}

void DuplicateIndex::grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
        if (slot.content != kNoContent) slot_of(slot.key) = slot;
}

std::uint32_t DuplicateIndex::find_or_add(const Hash128& hash, std::uint64_t size_bytes,
                                          std::uint32_t content) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    const Hash128 key = key_of(hash, size_bytes);
    Slot& slot = slot_of(key);
    if (slot.content != kNoContent) return slot.content;
    slot = {key, content};
    ++used_;
    return kNoContent;
}

Status find_large_duplicates(const Source& source, const Tree& tree, Contents& contents,
                             const Options& options, const FileHasher& hasher) {
    std::unordered_map<std::uint64_t, std::uint32_t> files_of_size;
    const auto is_large = [](const Content& content) {
        return content.size_bytes > kUnitSize && content.taken == kNoContent;
    };
    for (const Content& content : contents.files)
        if (is_large(content)) ++files_of_size[content.size_bytes];
    std::vector<std::uint32_t> candidates;
    for (std::uint32_t i = 0; i < contents.files.size(); ++i)
        if (is_large(contents.files[i]) && files_of_size[contents.files[i].size_bytes] > 1)
            candidates.push_back(i);

    std::vector<std::optional<Hash128>> hashes(candidates.size());
    std::atomic<std::size_t> next{0};
    run_on_threads(reader_threads(options), [&] {
        const auto reader = source.open_reader(tree);
        for (std::size_t i = next++; i < candidates.size() && !is_cancelled(options); i = next++) {
            const Content& content = contents.files[candidates[i]];
            const auto hash = hasher.of_file(*reader, content.node, content.size_bytes, options);
            if (hash) hashes[i] = *hash;
            if (!hash && is_short_of_memory(hash.error())) throw std::bad_alloc();
        }
    });
    if (is_cancelled(options)) return cancelled();

    DuplicateIndex index(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        Content& content = contents.files[candidates[i]];
        if (hashes[i])
            content.same_as = index.find_or_add(*hashes[i], content.size_bytes, candidates[i]);
    }
    return {};
}

}  // namespace squenv::pack
