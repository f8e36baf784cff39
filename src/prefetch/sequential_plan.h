// SPDX-License-Identifier: MIT
// What is decoded ahead of a program that reads a large file from one end to the other: sequential
// readahead, as the kernel has it, on all processors.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "prefetch/plan.h"

namespace squenv::prefetch {

/// The kernel reads ahead by 128 KiB, which is less than a block and keeps one processor busy at
/// most. When the requests for a file have followed each other for a while, the file is a stream:
/// the blocks of a window after the last request are decoded and put into the page cache, where
/// they take no request at all.
///
/// A program that is never late sends no request either. So the first page of some blocks is left
/// out, as the marker page: the request for it says how far the program has come, and the window
/// moves on and doubles. A program that stops leaves no more than a window.
///
/// Requests at the front are held. After one that had to wait for its limit, because the
/// processors have other work, those that follow are answered at once.
class SequentialPlan final : public Plan {
  public:
    /// `block_size`: of the image, in bytes.
    explicit SequentialPlan(std::uint64_t block_size) : block_size_(block_size) {}

    /// What a request asks of the pool.
    struct Read {
        bool is_stream = false;  ///< it belongs to a stream
        bool has_moved = false;  ///< the window has moved
    };
    Read on_read(const image::Inode& file, const FileRange& request, Clock::time_point now);
    /// Without a request for this long, a stream is no more.
    static constexpr std::chrono::milliseconds kQuiet{20};
    /// Without another request of a stream until then, none is read any more.
    [[nodiscard]] Clock::time_point quiet_at() const;

    [[nodiscard]] HoldReason hold_reason() const override {
        return HoldReason::read_at_stream_front;
    }
    [[nodiscard]] bool has_job() const override { return next_stream() != nullptr; }
    [[nodiscard]] bool is_finished() const override { return false; }
    /// One block of the stream that was used last.
    [[nodiscard]] std::vector<Job> take(std::size_t stored_bytes) override;
    void begin(const Job& /*job*/) override {}
    [[nodiscard]] bool is_wanted(const Job& /*job*/) const override { return true; }
    void begin_store(const Job& job) override;
    [[nodiscard]] Refused refused() const override { return Refused::stop; }
    /// What cannot be stored ends the stream: a read reports the error.
    void finish(const Job& job, bool is_complete) override;
    [[nodiscard]] bool may_hold(const FileRange& request, bool is_idle) const override;
    [[nodiscard]] bool is_due(const FileRange& request, bool is_idle) const override;
    void on_answer(const FileRange& request, bool is_late, Clock::time_point now) override;

  private:
    /// A file that is, or may be, read from one end to the other. All numbers are in bytes of it.
    struct Stream {
        FileId file = kNoFile;
        std::uint64_t run = 0;       ///< requested so far without a gap
        std::uint64_t position = 0;  ///< after the last request
        std::uint64_t next = 0;      ///< the first block that is not taken
        std::uint64_t end = 0;       ///< of the window
        std::uint64_t window = 0;    ///< 0: not yet a stream
        std::uint64_t marker = 0;    ///< the block whose first page is left out
        bool may_hold = true;
        std::uint64_t last_use = 0;
        std::shared_ptr<const image::Inode> inode{};  ///< once it is a stream
    };
    /// A job that a thread has.
    struct Claim {
        std::size_t number = 0;
        FileRange range{};
        bool is_storing = false;
    };
    Stream& entry_of(FileId file);
    [[nodiscard]] const Stream* stream_of(FileId file) const;
    [[nodiscard]] const Stream* next_stream() const;
    /// The same entry, to be changed.
    [[nodiscard]] Stream* own(const Stream* stream) {
        return stream == nullptr ? nullptr : streams_.data() + (stream - streams_.data());
    }
    [[nodiscard]] bool move_on(Stream& stream, const image::Inode& file, std::uint64_t offset);

    const std::uint64_t block_size_;
    static constexpr std::size_t kMaxStreams = 8;
    std::array<Stream, kMaxStreams> streams_{};
    std::uint64_t uses_ = 0;
    std::vector<Claim> claims_;  ///< one a decoder at most
    std::size_t last_number_ = 0;
    Clock::time_point last_read_{};  ///< of a stream
};

}  // namespace squenv::prefetch
