// SPDX-License-Identifier: MIT
#include "pack/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <span>

#include "base/file_io.h"
#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

tl::unexpected<Error> spool_failure(int sys_errno, const std::string& directory) {
    return write_failure(sys_errno, directory + ": the files of the archive, kept here meanwhile");
}

}  // namespace

class Spool::Reader final : public FileReader {
  public:
    Reader(const Spool& spool, const Tree& tree) : spool_(spool), tree_(tree) {}

    Status read(EntryId id, std::uint64_t offset, MutableBytes out) override {
        for (auto ranges = ranges_from(id, offset); !out.empty();) {
            const std::uint64_t data =
                ranges.empty() ? std::numeric_limits<std::uint64_t>::max() : ranges.front().offset;
            const bool is_hole = offset < data;
            const std::uint64_t end = is_hole ? data : data + ranges.front().size_bytes;
            const auto size = std::min<std::uint64_t>(out.size(), end - offset);
            const MutableBytes part = out.first(static_cast<std::size_t>(size));
            if (is_hole) {
                std::fill(part.begin(), part.end(), std::byte{0});
            } else {
                SQUENV_TRY(
                    read_at(spool_.file_.get(), part, ranges.front().position + (offset - data)));
                ranges = ranges.subspan(1);
            }
            offset += part.size();
            out = out.subspan(part.size());
        }
        return {};
    }

    Result<std::uint64_t> next_data(EntryId id, std::uint64_t offset) override {
        const auto ranges = ranges_from(id, offset);
        return ranges.empty() ? tree_.at(id).size_bytes : std::max(offset, ranges.front().offset);
    }

  private:
    /// Those that end after `offset`.
    [[nodiscard]] std::span<const Range> ranges_from(EntryId id, std::uint64_t offset) const {
        const File& file = spool_.files_[tree_.at(id).source_inode];
        const auto all = std::span(spool_.ranges_).subspan(file.first_range, file.range_count);
        const auto first = std::partition_point(
            all.begin(), all.end(),
            [offset](const Range& range) { return range.offset + range.size_bytes <= offset; });
        return all.subspan(static_cast<std::size_t>(first - all.begin()));
    }

    const Spool& spool_;
    const Tree& tree_;
};

Result<Spool> Spool::open(const std::string& directory) {
    Spool spool;
    spool.directory_ = directory;
    auto file = open_file(directory, O_TMPFILE | O_RDWR, 0600);
    if (file) {
        spool.file_ = std::move(*file);
        return spool;
    }
    // Some network file systems cannot make files without a name.
    std::string name = directory + "/squenv-spool-XXXXXX";
    spool.file_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!spool.file_) return spool_failure(errno, directory);
    ::unlink(name.c_str());
    return spool;
}

void Spool::begin(std::uint64_t number) {
    if (files_.size() <= number) files_.resize(number + 1);
    files_[number] = {ranges_.size(), 0};
    current_ = number;
}

Status Spool::write(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return {};
    if (const auto status = write_at(file_.get(), bytes, end_); !status)
        return spool_failure(status.error().sys_errno, directory_);
    File& file = files_[current_];
    const bool follows =
        file.range_count > 0 && ranges_.back().offset + ranges_.back().size_bytes == offset;
    if (follows) {
        ranges_.back().size_bytes += bytes.size();
    } else {
        ranges_.push_back({offset, bytes.size(), end_});
        ++file.range_count;
    }
    end_ += bytes.size();
    return {};
}

std::unique_ptr<FileReader> Spool::open_reader(const Tree& tree) const {
    return std::make_unique<Reader>(*this, tree);
}

}  // namespace squenv::pack
