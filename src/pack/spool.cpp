// SPDX-License-Identifier: MIT
#include "pack/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

tl::unexpected<Error> spool_failure(const std::string& directory) {
    const int sys_errno = errno;
    return write_failure(sys_errno, directory + ": the files of the archive, kept here meanwhile");
}

class SpoolReader final : public FileReader {
  public:
    SpoolReader(int file, const std::vector<std::uint64_t>& positions, const Tree& tree)
        : file_(file), positions_(positions), tree_(tree) {}

    Status read(NodeId id, std::uint64_t offset, MutableBytes out) override {
        std::uint64_t position = positions_[tree_.at(id).source_inode] + offset;
        while (!out.empty()) {
            const ssize_t size =
                ::pread(file_, out.data(), out.size(), static_cast<off_t>(position));
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) return fail_errno(errno, "");
            if (size == 0) return fail(Errc::io, "the spool file is too short");
            out = out.subspan(static_cast<std::size_t>(size));
            position += static_cast<std::uint64_t>(size);
        }
        return {};
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
    if (!spool.file_) return spool_failure(directory);
    ::unlink(name.c_str());
    return spool;
}

Status Spool::write(std::uint64_t position, ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t size =
            ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return spool_failure(directory_);
        bytes = bytes.subspan(static_cast<std::size_t>(size));
        position += static_cast<std::uint64_t>(size);
    }
    return {};
}

Status Spool::end(std::uint64_t position) {
    if (::ftruncate(file_.get(), static_cast<off_t>(position)) != 0)
        return spool_failure(directory_);
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
