// SPDX-License-Identifier: MIT
#include "extract/target.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/file_io.h"
#include "extract/privilege.h"

namespace squenv::extract {

namespace {

constexpr std::uint64_t kReadBytes = 1 << 20;
constexpr mode_t kPrivileges = S_ISUID | S_ISGID;
constexpr mode_t kWriting = S_IWUSR | S_IWGRP | S_IWOTH;
constexpr const char* kCapabilities = "security.capability";

/// What a file system answers that has no such owner: one that a user namespace does not map
/// (EINVAL, EOVERFLOW), or one that keeps owners to itself (EPERM: root squash, FAT, too few
/// capabilities).
bool is_foreign_owner(int code) {
    return code == EPERM || code == EINVAL || code == EOVERFLOW;
}

}  // namespace

Job::Job(const image::Image& image, const ExtractOptions& options)
    : image_(image),
      options_(options),
      sets_owners_(options.owners && ::geteuid() == 0),
      has_root_account_(has_root_account()) {
}

void Job::failed(const std::string& path, const Error& error) noexcept {
    if (squenv::is_short_of_memory(error)) return ran_out_of_memory();
    if (error.sys_errno == ENOSPC || error.sys_errno == EDQUOT) is_full_ = true;
    if (error.sys_errno == EROFS) is_read_only_ = true;
    try {
        errors_.add(path, error);
    } catch (const std::bad_alloc&) {
        ran_out_of_memory();
    }
}

ExtractReport Job::report() {
    ExtractReport report;
    report.objects = objects_;
    report.bytes = bytes_;
    report.skipped_xattrs = skipped_xattrs_;
    report.left_owners = left_owners_;
    report.lost_privileges = lost_privileges_;
    report.is_full = is_full_;
    report.is_read_only = is_read_only_;
    report.is_cancelled = is_cancelled();
    report.error_count = errors_.count();
    report.errors = errors_.take_objects();
    return report;
}

Result<bool> Job::restore_owner(const image::Inode& inode, int directory, const std::string& name,
                                int fd) {
    if (!sets_owners_) return false;
    const int result =
        fd >= 0 ? ::fchown(fd, inode.uid, inode.gid)
                : ::fchownat(directory, name.c_str(), inode.uid, inode.gid, AT_SYMLINK_NOFOLLOW);
    if (result == 0) return true;
    if (!is_foreign_owner(errno)) return fail_errno(errno, "owner");
    left_owners_.fetch_add(1, std::memory_order_relaxed);
    return false;
}

mode_t Job::mode_of(const image::Inode& inode, bool is_privileged) {
    mode_t mode = inode.mode;
    if (options_.is_read_only) mode &= ~kWriting;
    if (!is_privileged && (mode & kPrivileges) != 0) {
        mode &= ~kPrivileges;
        lost_privileges_.fetch_add(1, std::memory_order_relaxed);
    }
    return mode;
}

Status Job::restore_xattrs(const image::Inode& inode, int directory, const std::string& name,
                           int fd, bool is_privileged) {
    const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
    Status status;
    SQUENV_TRY(image_.xattrs().visit(inode, [&](const std::string& attribute,
                                                const ByteVector& value) {
        if (attribute == kCapabilities && !is_privileged) {
            skipped_xattrs_.fetch_add(1, std::memory_order_relaxed);
            return true;
        }
        const int result =
            fd >= 0 ? ::fsetxattr(fd, attribute.c_str(), value.data(), value.size(), 0)
                    : ::lsetxattr(path.c_str(), attribute.c_str(), value.data(), value.size(), 0);
        if (result == 0) return true;
        if (errno != EPERM && errno != EACCES && errno != EOPNOTSUPP) {
            // Some file systems have little room for attributes; that is no full disk.
            status = errno == ENOSPC ? fail(Errc::limit, "xattr " + attribute + ": does not fit")
                                     : fail_errno(errno, "xattr " + attribute);
            return false;
        }
        skipped_xattrs_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }));
    return status;
}

Status Job::restore_attributes(const image::Inode& inode, int directory, const std::string& name,
                               int fd) {
    const bool has_fd = fd >= 0;
    SQUENV_TRY_ASSIGN(const bool is_owned, restore_owner(inode, directory, name, fd));
    const bool is_privileged = is_owned && has_root_account_;
    if (options_.xattrs && image_.xattrs().has_any())
        SQUENV_TRY(restore_xattrs(inode, directory, name, fd, is_privileged));
    if (!inode.is_symlink()) {
        const mode_t mode = mode_of(inode, is_privileged);
        if ((has_fd ? ::fchmod(fd, mode) : ::fchmodat(directory, name.c_str(), mode, 0)) != 0)
            return fail_errno(errno, "mode");
    }
    const timespec time{static_cast<time_t>(inode.mtime), 0};
    const timespec times[2] = {time, time};
    if ((has_fd ? ::futimens(fd, times)
                : ::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW)) != 0)
        return fail_errno(errno, "time");
    return {};
}

TargetDirectory::~TargetDirectory() {
    try {
        if (auto status = job.restore_attributes(inode, -1, "", fd.get()); !status)
            job.failed(path, status.error());
    } catch (const std::bad_alloc&) {
        job.ran_out_of_memory();
    }
}

TargetFile::~TargetFile() {
    if (is_too_large || (is_broken && job.is_over())) {
        // A later run must not take it for whole. Without memory a name cannot be copied.
        ::unlinkat(parent->fd.get(), path.c_str() + path.rfind('/') + 1, 0);
        return;
    }
    try {
        finish();
    } catch (const std::bad_alloc&) {
        job.ran_out_of_memory();
    }
}

void TargetFile::finish() {
    const std::string name = path.substr(path.rfind('/') + 1);
    Status status;
    if (::ftruncate(fd.get(), static_cast<off_t>(inode.size_bytes)) != 0)
        status = fail_errno(errno, "size");
    if (status) status = job.restore_attributes(inode, parent->fd.get(), name, fd.get());
    const int raw = fd.release();
    if (::close(raw) != 0 && status) status = fail_errno(errno, "close");
    if (!status && !is_broken) job.failed(path, status.error());
}

void TargetFile::write_part(std::uint64_t offset, std::uint64_t size) noexcept {
    try {
        const auto status = copy_part(offset, size);
        if (!status && status.error().sys_errno == EFBIG) is_too_large = true;
        if (!status && !is_broken.exchange(true)) job.failed(path, status.error());
    } catch (const std::bad_alloc&) {
        is_broken = true;
        job.ran_out_of_memory();
    }
}

Status TargetFile::copy_part(std::uint64_t offset, std::uint64_t size) {
    const std::uint64_t end = offset + size;
    while (offset < end && !is_broken) {
        if (job.is_over()) {
            is_broken = true;
            break;
        }
        SQUENV_TRY_ASSIGN(
            const auto slices,
            job.image().data().read(inode, offset, std::min(kReadBytes, end - offset)));
        for (const auto& slice : slices) {
            // Slices of holes have no owner; ftruncate makes them.
            if (slice.owner)
                if (const auto status = write_at(fd.get(), slice.bytes, offset); !status)
                    return with_context(status.error(), "write");
            offset += slice.bytes.size();
            job.wrote(slice.bytes.size());
        }
    }
    return {};
}

}  // namespace squenv::extract
