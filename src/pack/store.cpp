// SPDX-License-Identifier: MIT
#include "pack/store.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "pack/block_pipeline.h"
#include "pack/duplicates.h"
#include "pack/read_units.h"
#include "pack/stored_blocks.h"
#include "pack/threads.h"

namespace squenv::pack {

namespace {

/// One part in so many of adopted data may be of no use before all of it is written anew.
constexpr std::uint64_t kMostWaste = 20;

PipelineSettings pipeline_settings(const Options& options, const codec::Compressor* compressor) {
    PipelineSettings settings;
    settings.compressor = compressor;
    settings.threads = compressor_threads(options);
    settings.block_size = options.block_size;
    settings.has_digests = options.has_appendix;
    settings.blocks_in_flight =
        std::max<std::size_t>(memory_of(options) / 4 / options.block_size, 2);
    return settings;
}

codec::BlockKind block_kind(const Content& content) {
    switch (content.kind) {
        case FileKind::compiled_module: return codec::BlockKind::bytecode;
        case FileKind::shared_object: return codec::BlockKind::machine_code;
        case FileKind::source:
        case FileKind::other: break;
    }
    return codec::BlockKind::other;
}

/// Decides in storage order, on one thread, so that the image does not depend on which of the
/// others is faster.
class Store {
  public:
    Store(const Source& source, const Tree& tree, Contents& contents, const Options& options,
          const codec::Compressor* compressor, const FileHasher& hasher, bool has_hashes,
          const std::vector<StoredFile>& taken, ImageWriter& writer)
        : contents_(contents),
          blocks_(source.stored_blocks()),
          taken_(taken),
          writer_(writer),
          options_(options),
          hasher_(hasher),
          has_hashes_(has_hashes),
          duplicates_(contents.files.size()),
          fragment_buffers_(std::max<std::size_t>(memory_of(options) / 4 / options.block_size, 2),
                            options.block_size),
          pipeline_(pipeline_settings(options, compressor), writer,
                    [this](const WrittenBlock& block) { note(block); }),
          units_(source, tree, contents, options, hasher_) {
        if (has_hashes) stored_.hashes.resize(contents.files.size(), empty_hash());
        progress_.files_total = contents.files.size();
        for (const Content& content : contents.files)
            if (content.same_as == kNoContent) progress_.bytes_total += content.size_bytes;
    }

    /// Errors: those of reading what is taken over.
    Result<Stored> run();

  private:
    [[nodiscard]] Hash128 empty_hash() const {
        return ContentHash(hasher_, options_.block_size).result();
    }
    void add_to_hash(const Segment& segment, ByteView bytes);
    Status store(const Unit& unit);
    /// Before a content is stored: ends the hot ones, and takes over what comes before it.
    Status advance_to(std::uint32_t content);
    Status end_hot(std::uint32_t content);
    Status take(std::uint32_t content);
    /// Whether what is taken over is in the image already, and stays where it is.
    Result<bool> keeps_adopted();
    /// Notes what is there, once no thread notes anything else.
    void note_kept();
    Status take_block(const BlockTarget& target, std::uint64_t position,
                      const format::StoredSize& stored);
    Status store_whole(const Unit& unit, const Segment& segment);
    Status store_blocks(const Unit& unit, const Segment& segment);
    Status add_to_fragment(Content& content, ByteView bytes);
    Status end_fragment();
    void note(const WrittenBlock& block);
    void report();

    Contents& contents_;
    const StoredBlocks* const blocks_;
    const std::vector<StoredFile>& taken_;
    ImageWriter& writer_;
    bool is_kept_ = false;            ///< see keeps_adopted()
    std::vector<WrittenBlock> kept_;  ///< then: what is taken over
    std::unordered_map<std::uint32_t, std::uint32_t> taken_fragments_;  ///< old index to new
    std::uint32_t next_taken_ = 0;  ///< contents before it are taken over, or not to be
    const Options& options_;
    const FileHasher& hasher_;
    const bool has_hashes_;
    std::optional<ContentHash> hash_;  ///< of the file under way
    std::uint32_t hashed_content_ = kNoContent;
    DuplicateIndex duplicates_;
    Stored stored_;  ///< digests, blocks: only the thread that writes, until it is finished
    Progress progress_;

    BufferPool fragment_buffers_;
    BufferPool::Buffer fragment_;
    std::size_t fragment_size_ = 0;
    codec::BlockKind fragment_kind_ = codec::BlockKind::other;  ///< of the first file in it
    std::uint32_t fragment_index_ = 0;                          ///< of fragment_
    std::uint32_t fragment_count_ = 0;
    bool is_past_hot_ = false;

    std::atomic<std::uint64_t> bytes_written_{0};
    BlockPipeline pipeline_;
    UnitReader units_;  ///< last: ends first
};

Result<Stored> Store::run() {
    SQUENV_TRY_ASSIGN(is_kept_, keeps_adopted());
    while (true) {
        SQUENV_TRY_ASSIGN(auto unit, units_.next());
        if (!unit) break;
        SQUENV_TRY(store(*unit));
        report();
    }
    stored_.problems = units_.take_problems();
    SQUENV_TRY(advance_to(static_cast<std::uint32_t>(contents_.files.size())));
    SQUENV_TRY(end_fragment());
    SQUENV_TRY(pipeline_.finish());
    note_kept();
    return std::move(stored_);
}

Status Store::store(const Unit& unit) {
    progress_.bytes_done += unit.hole_bytes;
    for (const Segment& segment : unit.segments) {
        Content& content = contents_.files[segment.content];
        progress_.bytes_done += segment.size_bytes;
        if (segment.offset + segment.size_bytes == content.size_bytes) ++progress_.files_done;
        if (segment.has_failed) {
            content.has_failed = true;
            continue;
        }
        SQUENV_TRY(advance_to(segment.content));
        if (segment.is_whole)
            SQUENV_TRY(store_whole(unit, segment));
        else {
            add_to_hash(segment, unit.bytes(segment));
            SQUENV_TRY(store_blocks(unit, segment));
        }
    }
    return {};
}

Status Store::advance_to(std::uint32_t content) {
    for (; next_taken_ < content; ++next_taken_) {
        const Content& one = contents_.files[next_taken_];
        if (one.taken == kNoContent || one.same_as != kNoContent) continue;
        SQUENV_TRY(end_hot(next_taken_));
        SQUENV_TRY(take(next_taken_));
        progress_.bytes_done += one.size_bytes;
        ++progress_.files_done;
    }
    return end_hot(content);
}

/// No block holds hot files and others.
Status Store::end_hot(std::uint32_t content) {
    if (is_past_hot_ || content < contents_.hot_count) return {};
    is_past_hot_ = true;
    return end_fragment();
}

Status Store::take(std::uint32_t content) {
    if (is_cancelled(options_)) return cancelled();
    Content& target = contents_.files[content];
    const StoredFile& file = taken_[target.taken];
    BlockTarget block;
    block.content = content;
    std::uint64_t position = file.start;
    for (std::size_t i = 0; i < file.words.size(); ++i) {
        if (file.words[i] == 0) continue;
        SQUENV_TRY_ASSIGN(const auto stored,
                          format::parse_block_word(file.words[i], options_.block_size));
        block.word = target.first_word + i;
        SQUENV_TRY(take_block(block, position, stored));
        position += stored.size_bytes;
    }
    if (file.fragment == format::kNoFragment) return {};
    const auto [place, is_new] = taken_fragments_.emplace(file.fragment, fragment_count_);
    target.fragment = place->second;
    target.fragment_offset = file.fragment_offset;
    if (!is_new) return {};
    block.is_fragment = true;
    block.fragment = fragment_count_++;
    return take_block(block, file.fragment_block.start, file.fragment_block.stored);
}

Result<bool> Store::keeps_adopted() {
    if (writer_.adopted() == 0) return false;
    std::uint64_t live = 0;
    std::uint64_t first = writer_.adopted();
    std::unordered_set<std::uint32_t> fragments;
    for (const Content& content : contents_.files) {
        if (content.taken == kNoContent || content.same_as != kNoContent) continue;
        const StoredFile& file = taken_[content.taken];
        if (file.start != 0) first = std::min(first, file.start);
        for (const std::uint32_t word : file.words) {
            SQUENV_TRY_ASSIGN(const auto stored,
                              format::parse_block_word(word, options_.block_size));
            live += stored.size_bytes;
        }
        if (file.fragment == format::kNoFragment || !fragments.insert(file.fragment).second)
            continue;
        first = std::min(first, file.fragment_block.start);
        live += file.fragment_block.stored.size_bytes;
    }
    const bool is_worth_it =
        live >= writer_.adopted() - writer_.adopted() / kMostWaste && first >= writer_.position();
    SQUENV_TRY(is_worth_it ? writer_.keep_adopted() : writer_.drop_adopted());
    return is_worth_it;
}

void Store::note_kept() {
    for (const WrittenBlock& block : kept_) note(block);
    std::sort(stored_.digests.begin(), stored_.digests.end(),
              [](const auto& a, const auto& b) { return a.position < b.position; });
}

Status Store::take_block(const BlockTarget& target, std::uint64_t position,
                         const format::StoredSize& stored) {
    std::optional<Sha256> recorded;
    if (options_.has_appendix) recorded = blocks_->digest(position, stored.size_bytes);
    if (is_kept_ && (recorded || !options_.has_appendix)) {
        kept_.push_back({target, position, stored, recorded.value_or(Sha256{})});
        return {};
    }
    auto buffer = fragment_buffers_.acquire();
    const MutableBytes bytes(buffer.get(), stored.size_bytes);
    SQUENV_TRY(blocks_->read(position, bytes));
    const Sha256 digest =
        recorded || !options_.has_appendix ? recorded.value_or(Sha256{}) : sha256_of(bytes);
    if (is_kept_) {
        kept_.push_back({target, position, stored, digest});
        return {};
    }
    return pipeline_.submit_stored(bytes, std::move(buffer), target, stored, digest);
}

void Store::add_to_hash(const Segment& segment, ByteView bytes) {
    if (!has_hashes_) return;
    if (segment.is_whole || hashed_content_ != segment.content)
        hash_.emplace(hasher_, options_.block_size);
    hashed_content_ = segment.content;
    hash_->add(segment.offset, bytes);
    stored_.hashes[segment.content] = hash_->result();
}

Status Store::store_whole(const Unit& unit, const Segment& segment) {
    Content& content = contents_.files[segment.content];
    const ByteView bytes = unit.bytes(segment);
    if (bytes.empty()) return {};
    add_to_hash(segment, bytes);
    if (options_.has_duplicates_removed) {
        content.same_as =
            duplicates_.find_or_add(segment.hash, content.size_bytes, segment.content);
        if (content.same_as != kNoContent) return {};
    }
    if (options_.has_fragments && bytes.size() < options_.block_size && !is_all_zero(bytes))
        return add_to_fragment(content, bytes);
    return store_blocks(unit, segment);
}

Status Store::store_blocks(const Unit& unit, const Segment& segment) {
    const Content& content = contents_.files[segment.content];
    const ByteView bytes = unit.bytes(segment);
    for (std::size_t at = 0; at < bytes.size(); at += options_.block_size) {
        const ByteView block =
            bytes.subspan(at, std::min<std::size_t>(options_.block_size, bytes.size() - at));
        if (is_all_zero(block)) continue;
        BlockTarget target;
        target.content = segment.content;
        target.kind = block_kind(content);
        target.word = content.first_word + (segment.offset + at) / options_.block_size;
        SQUENV_TRY(pipeline_.submit(block, unit.buffer, target));
    }
    return {};
}

Status Store::add_to_fragment(Content& content, ByteView bytes) {
    if (fragment_size_ + bytes.size() > options_.block_size) SQUENV_TRY(end_fragment());
    if (!fragment_) {
        fragment_ = fragment_buffers_.acquire();
        fragment_index_ = fragment_count_++;
        fragment_kind_ = block_kind(content);
    }
    std::memcpy(fragment_.get() + fragment_size_, bytes.data(), bytes.size());
    content.fragment = fragment_index_;
    content.fragment_offset = static_cast<std::uint32_t>(fragment_size_);
    fragment_size_ += bytes.size();
    return {};
}

Status Store::end_fragment() {
    if (fragment_size_ == 0) return {};
    BlockTarget target;
    target.is_fragment = true;
    target.fragment = fragment_index_;
    target.kind = fragment_kind_;
    const ByteView bytes(fragment_.get(), fragment_size_);
    SQUENV_TRY(pipeline_.submit(bytes, std::move(fragment_), target));
    fragment_ = nullptr;
    fragment_size_ = 0;
    return {};
}

void Store::note(const WrittenBlock& block) {
    if (block.target.is_fragment) {
        if (contents_.fragments.size() <= block.target.fragment)
            contents_.fragments.resize(block.target.fragment + 1);
        contents_.fragments[block.target.fragment] = {block.position, block.stored};
    } else {
        Content& content = contents_.files[block.target.content];
        if (content.start == 0) content.start = block.position;
        contents_.words[block.target.word] = format::encode_block_word(block.stored);
    }
    ++stored_.blocks;
    if (!block.stored.is_compressed) ++stored_.raw_blocks;
    stored_.block_bytes += block.stored.size_bytes;
    if (options_.has_appendix)
        stored_.digests.push_back({block.position, block.stored.size_bytes, block.digest});
    bytes_written_.store(block.position + block.stored.size_bytes, std::memory_order_relaxed);
}

void Store::report() {
    if (!options_.progress) return;
    progress_.bytes_written = bytes_written_.load(std::memory_order_relaxed);
    options_.progress(progress_);
}

}  // namespace

Result<Stored> store_contents(const Source& source, const Tree& tree, Contents& contents,
                              const Options& options, const codec::Compressor* compressor,
                              const FileHasher& hasher, bool has_hashes, ImageWriter& writer) {
    std::vector<StoredFile> taken;
    // Hashes are those of contents, which are not read then.
    if (const StoredBlocks* blocks = source.stored_blocks(); blocks != nullptr && !has_hashes) {
        SQUENV_TRY_ASSIGN(taken, find_stored_files(tree, *blocks, contents));
    }
    if (options.has_duplicates_removed)
        SQUENV_TRY(find_large_duplicates(source, tree, contents, options, hasher));
    Store store(source, tree, contents, options, compressor, hasher, has_hashes, taken, writer);
    SQUENV_TRY_ASSIGN(Stored stored, store.run());
    for (Content& content : contents.files) {
        if (content.same_as == kNoContent) continue;
        ++stored.duplicate_files;
        stored.duplicate_bytes += content.size_bytes;
        if (!contents.files[content.same_as].has_failed || content.has_failed) continue;
        content.has_failed = true;
        stored.problems.push_back(
            {tree.path_of(content.node), "shares its data with a file that could not be read"});
    }
    return stored;
}

}  // namespace squenv::pack
