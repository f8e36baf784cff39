// SPDX-License-Identifier: MIT
// The storage of an image's bytes. The seam at which tests inject failing storage.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "image/image_file.h"
#include "image/latency.h"
#include "image/neighbourhoods.h"

namespace squenv::image {

/// The requests to the storage since opening.
struct SourceCounters {
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
    std::uint64_t nanoseconds = 0;  ///< in reads, of all threads together
    bool is_copy = false;           ///< reads go to a copy by now
    std::uint64_t latency_ns = 0;   ///< what the storage typically waits before it answers
    bool is_slow = false;           ///< so that whole neighbourhoods are read
    Neighbourhoods::Counters neighbourhoods{};
};

/// Thread-safe. Positions count from the start of the image, not of the file that holds it.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    /// Fills `out` from `position` on. Errors: io, also when the file ends before.
    [[nodiscard]] virtual Status read_exact(std::uint64_t position, MutableBytes out) const = 0;
    /// Bytes from the start of the image to the end of the file.
    [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
    /// True when the file is no longer what it was at opening (size or modification time).
    [[nodiscard]] virtual bool has_changed() const = 0;
    [[nodiscard]] virtual SourceCounters counters() const = 0;

    /// The same, but never from what is kept in memory.
    [[nodiscard]] virtual Status read_anew(std::uint64_t position, MutableBytes out) const {
        return read_exact(position, out);
    }

    /// Reads a part at once and answers from memory when bytes of it are wanted: for storage that
    /// is slow per read. A second call, or a failed read, does nothing.
    virtual void keep(std::uint64_t /*position*/, std::size_t /*size*/) const {}
    /// These parts are going to be read soon, in this order: storage that is slow per read may be
    /// asked for several of them at once. No parts: the caller has no more to tell for now.
    virtual void expect(std::span<const ByteRange> /*parts*/) const {}
    /// Reads from the open file `descriptor` from now on, which has the same bytes from the start
    /// of the image on; when it fails, from the first one again. It must stay open.
    virtual void read_from_copy(int /*descriptor*/) const {}
    /// Starts threads that read ahead on `processors`, if the storage is slow or on another
    /// machine. Once, and before threads are forbidden; the threads end with the source.
    virtual void start_readers(const cpu_set_t& /*processors*/) const {}
};

/// A regular file or block device, read with pread on one descriptor that pins it. An image that
/// is unlinked or replaced by rename stays readable. While the storage answers slowly, whole
/// neighbourhoods are read and kept.
class FileSource final : public ByteSource {
  public:
    explicit FileSource(std::shared_ptr<const ImageFile> file);
    /// Errors: those of ImageFile::open().
    [[nodiscard]] static Result<std::unique_ptr<FileSource>> open(const std::string& path);

    [[nodiscard]] Status read_exact(std::uint64_t position, MutableBytes out) const override;
    [[nodiscard]] Status read_anew(std::uint64_t position, MutableBytes out) const override {
        return read_file(position, out);
    }
    [[nodiscard]] std::uint64_t size_bytes() const override {
        return file_->size_bytes() - offset_;
    }
    [[nodiscard]] bool has_changed() const override;
    [[nodiscard]] SourceCounters counters() const override;
    void keep(std::uint64_t position, std::size_t size) const override;
    void expect(std::span<const ByteRange> parts) const override;
    void read_from_copy(int descriptor) const override { copy_ = descriptor; }
    void start_readers(const cpu_set_t& processors) const override;

    /// Makes `offset` the start of the image. Before the source is shared only.
    /// Errors: invalid_argument (past the end of the file).
    [[nodiscard]] Status set_offset(std::uint64_t offset);
    [[nodiscard]] int descriptor() const { return file_->descriptor(); }

  private:
    struct Kept {
        std::uint64_t position = 0;
        ByteVector bytes;
    };
    /// Reads the requested bytes from `descriptor`, in which the image begins at `start`.
    [[nodiscard]] Status read_from(int descriptor, std::uint64_t start, std::uint64_t position,
                                   MutableBytes out) const;
    /// The same, counted in nanoseconds_, and in `latency` if there is one.
    [[nodiscard]] Status timed_read(int descriptor, std::uint64_t start, std::uint64_t position,
                                    MutableBytes out, Latency* latency) const;
    [[nodiscard]] Status read_file(std::uint64_t position, MutableBytes out) const;
    /// From the copy if there is one, else the file; from the file for good when a copy fails.
    [[nodiscard]] Status read_stored(std::uint64_t position, MutableBytes out) const;

    std::shared_ptr<const ImageFile> file_;
    std::uint64_t offset_ = 0;
    mutable std::atomic<std::uint64_t> reads_{0};
    mutable std::atomic<std::uint64_t> bytes_{0};
    mutable std::atomic<std::uint64_t> nanoseconds_{0};
    mutable std::atomic<int> copy_{-1};
    mutable std::shared_ptr<const Kept> kept_owner_;  ///< set once, before kept_
    mutable std::atomic<const Kept*> kept_{nullptr};
    mutable std::atomic_flag is_kept_;
    mutable Latency latency_;
    std::unique_ptr<Neighbourhoods> neighbourhoods_;  ///< last: its threads read by the others
};

}  // namespace squenv::image
