// SPDX-License-Identifier: MIT
#include "extract/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <string_view>
#include <unordered_map>

#include "base/cpus.h"
#include "base/descriptor_limit.h"
#include "base/work_queue.h"
#include "extract/target.h"
#include "format/posix.h"
#include "image/walk.h"

namespace squenv::extract {

namespace {

/// Files are written in pieces of this size, so that one large library uses all processors.
constexpr std::uint64_t kPieceBytes = 8 << 20;
/// Every waiting piece keeps a file open.
constexpr std::size_t kMaxWaiting = 64;

/// What cannot be listed counts as content.
Result<bool> is_empty(const UniqueFd& directory, const std::string& path) {
    UniqueFd own(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return fail_errno(errno, path);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
    if (!stream) return fail_errno(errno, path);
    (void)own.release();
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get()))
        if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
            return false;
    if (errno != 0) return fail_errno(errno, path);
    return true;
}

/// Makes the target, if it is not there. It is not followed either: a symlink in a directory that
/// others write in could lead anywhere, and what it leads to would get the mode of the image.
Result<UniqueFd> open_target_directory(std::string target) {
    // With a slash at the end the system would follow it.
    while (target.size() > 1 && target.ends_with('/')) target.pop_back();
    if (::mkdir(target.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(errno, target.empty() ? "''" : target,
                          errno == ENOENT ? "create the directory it is to be in first"
                                          : "choose another directory");
    auto fd = open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd) return fd;
    struct stat info {};
    if (::lstat(target.c_str(), &info) == 0 && S_ISLNK(info.st_mode))
        return fail(Errc::exists, target + ": a symlink, which is not followed",
                    "name the directory that it leads to");
    return fail_errno(fd.error().sys_errno, target, "choose another directory");
}

/// The walk's side of an extraction: makes every object, leaves the content to the queue.
class Extractor {
  public:
    Extractor(Job& job, WorkQueue& queue) : job_(job), queue_(queue) {}

    Status open_target(const std::string& target, const image::Inode& root);
    void enter(const std::string& path, const image::Inode& inode);
    void leave() { open_directories_.pop_back(); }

  private:
    [[nodiscard]] Status make(const std::string& path, const image::Inode& inode);
    [[nodiscard]] Status make_directory(const std::string& path, const std::string& name,
                                        const image::Inode& inode);
    [[nodiscard]] Status make_file(const std::string& path, const std::string& name,
                                   const image::Inode& inode);
    [[nodiscard]] Status make_special(const std::string& name, const image::Inode& inode);
    /// True when `inode` was made before under another name, which `name` is now linked to.
    [[nodiscard]] Result<bool> make_hard_link(const std::string& path, const std::string& name,
                                              const image::Inode& inode);
    [[nodiscard]] Status make_room(const std::string& name);
    /// Null below a directory that could not be made: what is in it is skipped.
    [[nodiscard]] TargetDirectory* parent() const { return open_directories_.back().get(); }

    Job& job_;
    WorkQueue& queue_;
    int root_fd_ = -1;
    std::vector<std::shared_ptr<TargetDirectory>> open_directories_;
    std::unordered_map<std::uint64_t, std::string> first_names_;
};

Status Extractor::open_target(const std::string& target, const image::Inode& root) {
    SQUENV_TRY_ASSIGN(auto fd, open_target_directory(target));
    SQUENV_TRY_ASSIGN(const bool is_new, is_empty(fd, target));
    if (!job_.options().overwrite && !is_new)
        return fail(Errc::exists, target + ": exists already and has content",
                    "choose another directory, or add --force to extract into it");
    root_fd_ = fd.get();
    open_directories_.push_back(std::shared_ptr<TargetDirectory>(
        new TargetDirectory{job_, nullptr, "", root, std::move(fd)}));
    return {};
}

void Extractor::enter(const std::string& path, const image::Inode& inode) {
    if (path.empty()) return;
    Status status;
    if (parent() != nullptr) status = make(path, inode);
    if (!status) job_.failed(path, status.error());
    if (status && parent() != nullptr) job_.created();
    // Directories that failed stand for themselves on the stack, as nothing.
    if (inode.is_directory() && (!status || parent() == nullptr))
        open_directories_.push_back(nullptr);
}

Status Extractor::make(const std::string& path, const image::Inode& inode) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (inode.is_directory()) return make_directory(path, name, inode);
    SQUENV_TRY(make_room(name));
    SQUENV_TRY_ASSIGN(const bool is_link, make_hard_link(path, name, inode));
    if (is_link) return {};
    if (inode.is_file()) return make_file(path, name, inode);
    return make_special(name, inode);
}

Status Extractor::make_room(const std::string& name) {
    if (!job_.options().overwrite) return {};
    if (::unlinkat(parent()->fd.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
    return fail_errno(errno, "cannot replace what is there");
}

Status Extractor::make_directory(const std::string& path, const std::string& name,
                                 const image::Inode& inode) {
    const int at = parent()->fd.get();
    const bool is_new = ::mkdirat(at, name.c_str(), 0700) == 0;
    if (!is_new && (errno != EEXIST || !job_.options().overwrite))
        return fail_errno(errno, "mkdir");
    UniqueFd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "open");
    open_directories_.push_back(std::shared_ptr<TargetDirectory>(
        new TargetDirectory{job_, open_directories_.back(), path, inode, std::move(fd)}));
    return {};
}

Result<bool> Extractor::make_hard_link(const std::string& path, const std::string& name,
                                       const image::Inode& inode) {
    if (inode.nlink < 2) return false;
    const auto [first, is_first] = first_names_.emplace(inode.reference.raw(), path);
    if (is_first) return false;
    if (::linkat(root_fd_, first->second.c_str(), parent()->fd.get(), name.c_str(), 0) != 0)
        return fail_errno(errno, "hard link to " + first->second);
    return true;
}

Status Extractor::make_file(const std::string& path, const std::string& name,
                            const image::Inode& inode) {
    UniqueFd fd(::openat(parent()->fd.get(), name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return fail_errno(errno, "create");
    const std::shared_ptr<TargetFile> file(
        new TargetFile{job_, open_directories_.back(), path, inode, std::move(fd)});
    // A broken file is not continued: its size field can promise exabytes.
    for (std::uint64_t offset = 0; offset < inode.size_bytes && !file->is_broken;
         offset += kPieceBytes) {
        const std::uint64_t size = std::min(kPieceBytes, inode.size_bytes - offset);
        queue_.submit([file, offset, size] { file->write_part(offset, size); });
    }
    return {};
}

Status Extractor::make_special(const std::string& name, const image::Inode& inode) {
    const int at = parent()->fd.get();
    if (inode.is_symlink()) {
        SQUENV_TRY_ASSIGN(const auto target, job_.image().read_link(inode));
        if (::symlinkat(target.c_str(), at, name.c_str()) != 0) return fail_errno(errno, "symlink");
    } else if (::mknodat(at, name.c_str(), format::type_bits(inode.type) | 0600,
                         format::decode_device(inode.device)) != 0) {
        return fail_errno(errno, "mknod", errno == EPERM ? "only root can make devices" : "");
    }
    return job_.restore_attributes(inode, at, name, -1);
}

/// Returns when everything is written, or what was begun when it is over.
Status extract_all(Job& job, const image::Inode& start, const std::string& target) {
    const unsigned threads = job.options().threads;
    WorkQueue queue(threads != 0 ? threads : available_cpus(), kMaxWaiting);
    Extractor extractor(job, queue);
    SQUENV_TRY(extractor.open_target(target, start));
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        extractor.enter(path, inode);
        return !job.is_over();
    };
    visitor.leave = [&](const std::string& path, const image::Inode&) {
        if (!path.empty()) extractor.leave();
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        job.failed(path, error);
        return !job.is_over();
    };
    try {
        image::walk(job.image(), start, visitor);
    } catch (const std::bad_alloc&) {
        job.ran_out_of_memory();
    }
    queue.finish();
    return {};
}

}  // namespace

Result<ExtractReport> extract_tree(const image::Image& image, const image::Inode& start,
                                   const std::string& target, const ExtractOptions& options) {
    const RaisedDescriptorLimit limit;  // deep trees hold a descriptor per level
    Job job(image, options);
    SQUENV_TRY(extract_all(job, start, target));
    if (job.is_short_of_memory())
        return fail_memory(target + ": is not complete",
                           "it takes fewer threads ('squenv extract -j 1') or a higher limit");
    return job.report();
}

}  // namespace squenv::extract
