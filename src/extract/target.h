// SPDX-License-Identifier: MIT
// Objects under construction on disk: finished when the last reference goes.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/error_list.h"
#include "base/unique_fd.h"
#include "extract/extract.h"

namespace squenv::extract {

/// What all jobs of one extraction share. Thread-safe.
class Job {
  public:
    Job(const image::Image& image, const ExtractOptions& options);

    /// A shortage of memory is no fault of the object: it ends the extraction.
    void failed(const std::string& path, const Error& error) noexcept;
    void ran_out_of_memory() noexcept { is_short_of_memory_ = true; }
    [[nodiscard]] bool is_short_of_memory() const { return is_short_of_memory_; }
    void created() { objects_.fetch_add(1, std::memory_order_relaxed); }
    void wrote(std::uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
    [[nodiscard]] ExtractReport report();

    /// Owner, xattrs, mode and mtime of the object `name` in `directory`; through `fd` when it is
    /// not negative, which symlinks and devices have not.
    [[nodiscard]] Status restore_attributes(const image::Inode& inode, int directory,
                                            const std::string& name, int fd);
    [[nodiscard]] const image::Image& image() const { return image_; }
    [[nodiscard]] const ExtractOptions& options() const { return options_; }
    /// The target had no room for something or is read-only, there was no memory, or the user wants
    /// no more: nothing else is begun.
    [[nodiscard]] bool is_over() const {
        return is_full_ || is_read_only_ || is_short_of_memory_ || is_cancelled();
    }

  private:
    [[nodiscard]] bool is_cancelled() const {
        return options_.cancel != nullptr && *options_.cancel;
    }
    /// False when the owner of the image could not be set, or is not wanted.
    [[nodiscard]] Result<bool> restore_owner(const image::Inode& inode, int directory,
                                             const std::string& name, int fd);
    [[nodiscard]] Status restore_xattrs(const image::Inode& inode, int directory,
                                        const std::string& name, int fd, bool is_privileged);
    /// The mode of the object on disk.
    [[nodiscard]] mode_t mode_of(const image::Inode& inode, bool is_privileged);

    const image::Image& image_;
    const ExtractOptions& options_;
    const bool sets_owners_;
    const bool has_root_account_;
    std::atomic<std::uint64_t> objects_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> skipped_xattrs_{0};
    std::atomic<std::uint64_t> left_owners_{0};
    std::atomic<std::uint64_t> lost_privileges_{0};
    std::atomic<bool> is_full_{false};
    std::atomic<bool> is_read_only_{false};
    std::atomic<bool> is_short_of_memory_{false};
    ErrorList errors_;
};

/// A directory that is being filled. Its mode and times are set when nothing fills it any more,
/// and before those of its parent.
struct TargetDirectory {
    Job& job;
    std::shared_ptr<TargetDirectory> parent;
    std::string path;
    image::Inode inode;
    UniqueFd fd;

    ~TargetDirectory();
};

/// A file that is being written, in pieces, by several threads.
struct TargetFile {
    Job& job;
    std::shared_ptr<TargetDirectory> parent;
    std::string path;
    image::Inode inode;
    UniqueFd fd;
    std::atomic<bool> is_broken{false};
    std::atomic<bool> is_too_large = false;  ///< for the limit of file sizes

    ~TargetFile();
    /// Writes [offset, offset + size) of the content; holes are left out.
    void write_part(std::uint64_t offset, std::uint64_t size) noexcept;

  private:
    void finish();
    [[nodiscard]] Status copy_part(std::uint64_t offset, std::uint64_t size);
};

}  // namespace squenv::extract
