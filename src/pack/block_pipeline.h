// SPDX-License-Identifier: MIT
// Blocks in, compressed blocks in the image, in the order they came: several threads compress, and
// whichever of them finds the next block done writes. Knows nothing of files.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256.h"
#include "codec/codec.h"
#include "format/metadata_header.h"
#include "pack/buffer_pool.h"
#include "pack/image_writer.h"

namespace squenv::pack {

/// What a block belongs to; handed back when it is written.
struct BlockTarget {
    bool is_fragment = false;
    std::uint32_t fragment = 0;  ///< fragments: index
    codec::BlockKind kind = codec::BlockKind::other;
    std::uint32_t content = 0;  ///< files
    std::uint64_t word = 0;     ///< files: index of the size word
};

/// A block that is in the image.
struct WrittenBlock {
    BlockTarget target;
    std::uint64_t position = 0;  ///< in the image
    format::StoredSize stored;
    Sha256 digest{};  ///< of the stored bytes, when digests are wanted
};

struct PipelineSettings {
    const codec::Compressor* compressor = nullptr;  ///< null stores blocks as they are
    unsigned threads = 1;                           ///< 0: submit() does their work
    std::size_t blocks_in_flight = 8;
    std::size_t block_size = 0;  ///< bytes, of the largest block
    bool has_digests = false;
};

/// submit() and finish() are called by one thread. `written` runs on the threads of the pipeline,
/// block by block in order, never two at a time; in submit() when the system refused all threads.
class BlockPipeline {
  public:
    using Written = std::function<void(const WrittenBlock&)>;

    BlockPipeline(const PipelineSettings& settings, ImageWriter& writer, Written written);
    ~BlockPipeline();
    BlockPipeline(const BlockPipeline&) = delete;
    BlockPipeline& operator=(const BlockPipeline&) = delete;

    /// Takes one block; waits while too many are under way. `owner` keeps `input` alive.
    /// Errors: those of the threads of the pipeline (a full disk, mostly). Throws what one of them
    /// threw.
    [[nodiscard]] Status submit(ByteView input, BufferPool::Buffer owner,
                                const BlockTarget& target);
    /// The same for a block that is stored as it is given: `stored` says of which form it is.
    [[nodiscard]] Status submit_stored(ByteView bytes, BufferPool::Buffer owner,
                                       const BlockTarget& target, const format::StoredSize& stored,
                                       const Sha256& digest);
    /// Returns when everything submitted is written. Errors: as submit().
    [[nodiscard]] Status finish();

  private:
    struct Job {
        ByteView input;
        BufferPool::Buffer owner;
        BufferPool::Buffer output;
        WrittenBlock block;
        bool is_done = false;   ///< protected by mutex_
        bool is_given = false;  ///< `input` is what gets stored
    };

    void work() noexcept;
    void compress_blocks();
    /// The first of to_compress_, which is not empty. `lock` holds mutex_.
    void compress_next(std::unique_lock<std::mutex>& lock);
    /// Writes what can be written, unless another thread does. `lock` holds mutex_.
    void write_blocks(std::unique_lock<std::mutex>& lock);
    void write(Job& job);
    [[nodiscard]] Status compress(Job& job) const;
    [[nodiscard]] ByteView stored_bytes(const Job& job) const;
    void give_up(const Error& error);
    void abandon(std::unique_lock<std::mutex> lock) noexcept;
    /// What stopped the pipeline, if something did. Holds mutex_.
    [[nodiscard]] Status status() const;

    const PipelineSettings settings_;
    ImageWriter& writer_;
    const Written written_;
    BufferPool outputs_;

    std::mutex mutex_;  ///< protects everything below
    std::condition_variable has_work_;
    std::deque<std::shared_ptr<Job>> to_compress_;
    std::deque<std::shared_ptr<Job>> to_write_;
    bool is_complete_ = false;  ///< nothing more will be submitted
    bool is_writing_ = false;   ///< one thread is in write_blocks()
    std::optional<Error> error_;
    std::exception_ptr thrown_;          ///< by a thread of the pipeline
    std::vector<std::jthread> threads_;  ///< last: joined before the rest goes
};

}  // namespace squenv::pack
