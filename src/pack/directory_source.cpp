// SPDX-License-Identifier: MIT
#include "pack/directory_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/file_io.h"
#include "pack/data_ranges.h"
#include "pack/scan.h"

namespace squenv::pack {

namespace {

Result<UniqueFd> open_at(int directory, const std::string& path, int flags) {
    int fd = -1;
    do {
        fd = ::openat(directory, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno(errno, "");
    return UniqueFd(fd);
}

/// Reads files of a directory tree. Keeps the directory and the file it used last open, because
/// files of one directory and blocks of one file follow each other.
class DirectoryReader final : public FileReader {
  public:
    DirectoryReader(int root, int overlay, const Tree& tree)
        : root_(root), overlay_(overlay), tree_(tree) {}

    Status read(EntryId id, std::uint64_t offset, MutableBytes out) override {
        SQUENV_TRY(open(id));
        const Status status = read_open(id, offset, out);
        // What happened to the file says more than what the read made of it.
        SQUENV_TRY(check_unchanged(id));
        return status;
    }

    Result<std::uint64_t> next_data(EntryId id, std::uint64_t offset) override {
        const Node& node = tree_.at(id);
        if (!node.has_holes) return offset;
        SQUENV_TRY(open(id));
        if (ranges_node_ != id) {
            ranges_node_ = kNoEntry;
            ranges_ = data_ranges(file_.get());
            SQUENV_TRY(check_unchanged(id));
            ranges_node_ = id;
        }
        const auto range =
            std::upper_bound(ranges_.begin(), ranges_.end(), offset,
                             [](std::uint64_t at, const DataRange& one) { return at < one.end; });
        return range == ranges_.end() ? node.size_bytes : std::max(offset, range->begin);
    }

  private:
    Status read_open(EntryId id, std::uint64_t offset, MutableBytes out) const {
        SQUENV_TRY(read_at(file_.get(), out, offset));
        if (tree_.at(id).size_bytes == 0) {
            // Files of /proc and /sys say 0 and have content all the same.
            char byte = 0;
            if (::pread(file_.get(), &byte, 1, 0) > 0)
                return fail(Errc::busy, "claims to be empty and is not");
        }
        return {};
    }

    Status open(EntryId id) {
        if (id == file_node_ && file_) return {};
        const Node& node = tree_.at(id);
        file_.reset();
        if (node.parent != directory_node_ || node.is_overlay != is_overlay_) {
            directory_node_ = kNoEntry;
            is_overlay_ = node.is_overlay;
            SQUENV_TRY_ASSIGN(directory_,
                              open_below(is_overlay_ ? overlay_ : root_, tree_.path_of(node.parent),
                                         O_PATH | O_DIRECTORY));
            directory_node_ = node.parent;
        }
        // O_NONBLOCK: a fifo put in the place of a file must not stop the packer.
        SQUENV_TRY_ASSIGN(file_, open_at(directory_.get(), std::string(node.name_view()),
                                         O_RDONLY | O_NONBLOCK | O_NOCTTY));
        file_node_ = id;
        return {};
    }

    Status check_unchanged(EntryId id) const {
        const Node& node = tree_.at(id);
        struct stat info {};
        if (!stat_open_file(file_.get(), info)) return fail_errno(errno, "");
        // Some file systems give a file a new number when the kernel has forgotten it, as sshfs
        // does. Another file in its place has another time of change as well.
        const bool is_same = info.st_ino == node.source_inode &&
                             (node.is_overlay || info.st_dev == tree_.devices[node.source_device]);
        if (!S_ISREG(info.st_mode) || (!is_same && time_in_ns(info.st_ctim) != node.ctime_ns))
            return fail(Errc::busy, "was replaced while the tree was packed");
        // The same words for all files: they are counted by them.
        const auto size = static_cast<std::uint64_t>(info.st_size);
        if (size < node.size_bytes) return fail(Errc::busy, "shrank while the tree was packed");
        if (size > node.size_bytes) return fail(Errc::busy, "grew while the tree was packed");
        if (node.is_overlay) return {};
        if (info.st_mtim.tv_sec != node.mtime_seconds ||
            static_cast<std::uint32_t>(info.st_mtim.tv_nsec) != node.mtime_nanoseconds)
            return fail(Errc::busy, "was written to while the tree was packed");
        return {};
    }

    const int root_;
    const int overlay_;
    const Tree& tree_;
    UniqueFd directory_;
    EntryId directory_node_ = kNoEntry;
    bool is_overlay_ = false;  ///< what directory_ is a part of
    UniqueFd file_;
    EntryId file_node_ = kNoEntry;
    std::vector<DataRange> ranges_;  ///< of the sparse file that was asked for last
    EntryId ranges_node_ = kNoEntry;
};

class DirectorySource final : public Source {
  public:
    DirectorySource(UniqueFd root, UniqueFd overlay, std::string overlay_path,
                    const Options& options, std::optional<SkippedFile> output,
                    TreeObserver* observer)
        : root_(std::move(root)),
          overlay_(std::move(overlay)),
          overlay_path_(std::move(overlay_path)),
          options_(options),
          output_(output),
          observer_(observer) {}

    Result<Scanned> scan() override {
        return scan_directory(root_.get(), overlay_path_, options_, output_, observer_);
    }
    std::unique_ptr<FileReader> open_reader(const Tree& tree) const override {
        return std::make_unique<DirectoryReader>(root_.get(), overlay_.get(), tree);
    }

  private:
    UniqueFd root_;
    UniqueFd overlay_;
    const std::string overlay_path_;
    const Options& options_;
    std::optional<SkippedFile> output_;
    TreeObserver* const observer_;
};

/// For a tree that cannot be opened.
const char* next_step(int sys_errno) {
    switch (sys_errno) {
        case EACCES: return "packing takes permission to read and to enter it";
        case ENOTDIR:
            return "pack a directory, an archive with --tar or an image with --from-image";
        default: return "check the name";
    }
}

}  // namespace

Result<UniqueFd> open_below(int root, const std::string& path, int flags) {
    UniqueFd step;
    std::string_view rest = path;
    int at = root;
    // The kernel takes PATH_MAX bytes with the final NUL.
    while (rest.size() >= PATH_MAX) {
        const auto slash = rest.rfind('/', PATH_MAX - 2);
        SQUENV_TRY_ASSIGN(step,
                          open_at(at, std::string(rest.substr(0, slash)), O_PATH | O_DIRECTORY));
        at = step.get();
        rest.remove_prefix(slash + 1);
    }
    return open_at(at, std::string(rest), flags);
}

Result<std::unique_ptr<Source>> open_directory_source(const std::string& path,
                                                      const std::string& overlay,
                                                      const Options& options,
                                                      std::optional<SkippedFile> output,
                                                      TreeObserver* observer) {
    auto root = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!root) return fail_errno(root.error().sys_errno, path, next_step(root.error().sys_errno));
    UniqueFd over;
    if (!overlay.empty()) {
        SQUENV_TRY_ASSIGN(over, open_file(overlay, O_RDONLY | O_DIRECTORY));
    }
    return std::make_unique<DirectorySource>(std::move(*root), std::move(over), overlay, options,
                                             output, observer);
}

}  // namespace squenv::pack
