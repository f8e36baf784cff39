// SPDX-License-Identifier: MIT
#include "pack/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_io.h"
#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

tl::unexpected<Error> spool_failure(int sys_errno, const std::string& directory) {
    return write_failure(sys_errno, directory + ": the files of the archive, kept here meanwhile");
}

class SpoolReader final : public FileReader {
  public:
    SpoolReader(int file, const std::vector<std::uint64_t>& positions, const Tree& tree)
        : file_(file), positions_(positions), tree_(tree) {}

    Status read(NodeId id, std::uint64_t offset, MutableBytes out) override {
        return read_at(file_, out, positions_[tree_.at(id).source_inode] + offset);
    }
    Result<std::uint64_t> next_data(NodeId, std::uint64_t offset) override { return offset; }

  private:
    const int file_;
    const std::vector<std::uint64_t>& positions_;
    const Tree& tree_;
};

}  // namespace

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

Status Spool::write(std::uint64_t position, ByteView bytes) {
    if (const auto status = write_at(file_.get(), bytes, position); !status)
        return spool_failure(status.error().sys_errno, directory_);
    return {};
}

Status Spool::end(std::uint64_t position) {
    if (::ftruncate(file_.get(), static_cast<off_t>(position)) != 0)
        return spool_failure(errno, directory_);
    end_ = position;
    return {};
}

void Spool::remember(std::uint64_t number, std::uint64_t position) {
    if (positions_.size() <= number) positions_.resize(number + 1);
    positions_[number] = position;
}

std::unique_ptr<FileReader> Spool::open_reader(const Tree& tree) const {
    return std::make_unique<SpoolReader>(file_.get(), positions_, tree);
}

}  // namespace squenv::pack
