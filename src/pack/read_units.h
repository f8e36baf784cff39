// SPDX-License-Identifier: MIT
// Reading ahead: the files in storage order, cut into units of up to 1 MiB that several threads
// read at the same time and one thread takes out in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "pack/buffer_pool.h"
#include "pack/content.h"
#include "pack/duplicates.h"
#include "pack/source.h"

namespace squenv::pack {

/// Bytes of a unit: small files share one, larger files have several.
inline constexpr std::size_t kUnitSize = 1U << 20;
static_assert(kUnitSize % format::kMaxBlockSize == 0, "units of one file begin at a block");

/// A whole small file, or a piece of a large one.
struct Segment {
    std::uint32_t content = 0;
    std::uint32_t size_bytes = 0;
    std::uint64_t offset = 0;  ///< in the file
    std::size_t buffer_position = 0;
    Hash128 hash;  ///< of whole files, when duplicates are looked for
    bool is_whole = false;
    bool has_failed = false;  ///< named in the problems, or not read after another failure
};

struct Unit {
    std::vector<Segment> segments;
    BufferPool::Buffer buffer;
    std::uint64_t hole_bytes = 0;  ///< skipped in front of the first segment

    [[nodiscard]] ByteView bytes(const Segment& segment) const {
        return {buffer.get() + segment.buffer_position, segment.size_bytes};
    }
};

/// next() is called by one thread; the readers run until the last unit or stop().
class UnitReader {
  public:
    UnitReader(const Source& source, const Tree& tree, const Contents& contents,
               const Options& options, const FileHasher& hasher);
    ~UnitReader();
    UnitReader(const UnitReader&) = delete;
    UnitReader& operator=(const UnitReader&) = delete;

    /// The next unit in order; nothing after the last one. Errors: cancelled. Throws what a reader
    /// threw: std::bad_alloc, also where the source reports that there is no memory.
    [[nodiscard]] Result<std::optional<Unit>> next();
    /// What could not be read. Call after the last unit.
    [[nodiscard]] std::vector<Finding> take_problems();

  private:
    void work() noexcept;
    /// Reads one unit. False when there is none left.
    [[nodiscard]] bool read_next(FileReader& reader);
    /// Takes the next piece of the files in order. False when there is none. Holds mutex_.
    bool plan(Unit& unit, FileReader& reader);
    void plan_piece(Unit& unit, const Content& content, FileReader& reader);
    void read(Unit& unit, FileReader& reader);

    const Source& source_;
    const Tree& tree_;
    const Contents& contents_;
    const Options& options_;
    const FileHasher& hasher_;
    BufferPool buffers_;
    std::unique_ptr<FileReader> own_reader_;  ///< of next(), when the system refused all threads

    std::mutex mutex_;  ///< protects everything below
    std::condition_variable has_unit_;
    std::uint32_t next_content_ = 0;
    std::uint64_t next_offset_ = 0;  ///< in the file of next_content_
    std::uint64_t units_planned_ = 0;
    std::uint64_t units_taken_ = 0;
    bool is_planned_ = false;   ///< nothing is left to plan
    bool only_checks_ = false;  ///< something failed: the rest is opened, not read
    std::map<std::uint64_t, Unit> ready_;
    std::vector<Finding> problems_;
    std::exception_ptr thrown_;          ///< by a reader: its unit is missing
    std::vector<std::jthread> threads_;  ///< last: joined before the rest goes
};

}  // namespace squenv::pack
