// SPDX-License-Identifier: MIT
#include "pack/block_pipeline.h"

#include "base/threads.h"

namespace squenv::pack {

BlockPipeline::BlockPipeline(const PipelineSettings& settings, ImageWriter& writer, Written written)
    : settings_(settings),
      writer_(writer),
      written_(std::move(written)),
      outputs_(settings.blocks_in_flight, settings.block_size, settings.blocks_in_flight / 4) {
    start_threads(threads_, settings.threads, [this] { work(); });
}

BlockPipeline::~BlockPipeline() {
    abandon(std::unique_lock(mutex_));
    threads_.clear();
}

Status BlockPipeline::submit(ByteView input, BufferPool::Buffer owner, const BlockTarget& target) {
    auto job = std::make_shared<Job>();
    // Taken here, in order: the oldest block always has its output buffer and never waits.
    job->output = outputs_.acquire();
    job->input = input;
    job->owner = std::move(owner);
    job->block.target = target;
    std::unique_lock lock(mutex_);
    SQUENV_TRY(status());
    to_compress_.push_back(job);
    to_write_.push_back(std::move(job));
    if (threads_.empty()) {
        compress_next(lock);
        return {};
    }
    lock.unlock();
    has_work_.notify_one();
    return {};
}

Status BlockPipeline::submit_stored(ByteView bytes, BufferPool::Buffer owner,
                                    const BlockTarget& target, const format::StoredSize& stored,
                                    const Sha256& digest) {
    auto job = std::make_shared<Job>();
    job->input = bytes;
    job->owner = std::move(owner);
    job->block.target = target;
    job->block.stored = stored;
    job->block.digest = digest;
    job->is_done = true;
    job->is_given = true;
    std::unique_lock lock(mutex_);
    SQUENV_TRY(status());
    to_write_.push_back(std::move(job));
    write_blocks(lock);
    return {};
}

Status BlockPipeline::finish() {
    {
        std::lock_guard lock(mutex_);
        is_complete_ = true;
    }
    has_work_.notify_all();
    threads_.clear();
    return status();
}

Status BlockPipeline::status() const {
    if (thrown_) std::rethrow_exception(thrown_);
    if (error_) return tl::unexpected(*error_);
    return {};
}

void BlockPipeline::give_up(const Error& error) {
    std::unique_lock lock(mutex_);
    if (!error_) error_ = error;
    abandon(std::move(lock));
}

void BlockPipeline::abandon(std::unique_lock<std::mutex> lock) noexcept {
    is_complete_ = true;
    to_compress_.clear();
    to_write_.clear();
    lock.unlock();
    outputs_.close();
    has_work_.notify_all();
}

Status BlockPipeline::compress(Job& job) const {
    std::size_t size = 0;
    if (settings_.compressor != nullptr) {
        // One byte less than the input: what is not smaller is stored as it is.
        SQUENV_TRY_ASSIGN(
            size, settings_.compressor->compress(
                      job.input, {job.output.get(), job.input.size() - 1}, job.block.target.kind));
    }
    job.block.stored.is_compressed = size != 0;
    job.block.stored.size_bytes = static_cast<std::uint32_t>(size != 0 ? size : job.input.size());
    if (settings_.has_digests) job.block.digest = sha256_of(stored_bytes(job));
    // The input is read no more when its compressed form is what gets written.
    if (size != 0) job.owner.reset();
    return {};
}

ByteView BlockPipeline::stored_bytes(const Job& job) const {
    const bool is_output = job.block.stored.is_compressed && !job.is_given;
    return is_output ? ByteView(job.output.get(), job.block.stored.size_bytes) : job.input;
}

/// Without memory a block is lost, and no later one can be written.
void BlockPipeline::work() noexcept {
    try {
        compress_blocks();
    } catch (...) {
        std::unique_lock lock(mutex_);
        if (!thrown_) thrown_ = std::current_exception();
        abandon(std::move(lock));
    }
}

void BlockPipeline::compress_blocks() {
    std::unique_lock lock(mutex_);
    while (true) {
        has_work_.wait(lock, [this] { return !to_compress_.empty() || is_complete_; });
        if (to_compress_.empty()) return;
        compress_next(lock);
    }
}

void BlockPipeline::compress_next(std::unique_lock<std::mutex>& lock) {
    const auto job = std::move(to_compress_.front());
    to_compress_.pop_front();
    lock.unlock();
    if (const auto status = compress(*job); !status) give_up(status.error());
    lock.lock();
    job->is_done = true;
    write_blocks(lock);
}

void BlockPipeline::write_blocks(std::unique_lock<std::mutex>& lock) {
    if (is_writing_) return;
    is_writing_ = true;
    while (!to_write_.empty() && to_write_.front()->is_done) {
        const auto job = std::move(to_write_.front());
        to_write_.pop_front();
        lock.unlock();
        write(*job);
        lock.lock();
    }
    is_writing_ = false;
}

void BlockPipeline::write(Job& job) {
    job.block.position = writer_.position();
    const auto status = writer_.append(stored_bytes(job));
    if (status)
        written_(job.block);
    else
        give_up(status.error());
    job.owner.reset();
    job.output.reset();
}

}  // namespace squenv::pack
