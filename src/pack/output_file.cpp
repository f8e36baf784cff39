// SPDX-License-Identifier: MIT
#include "pack/output_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/kept_access.h"
#include "base/output_path.h"
#include "pack/write_failure.h"

namespace squenv::pack {

namespace {

constexpr mode_t kNewMode = 0666;  ///< less the umask
constexpr mode_t kPrivateMode = 0600;
/// As many as may be taken by chance, which is none.
constexpr int kAttempts = 100;

bool is_there(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

tl::unexpected<Error> already_there(const std::string& path) {
    return fail(Errc::exists, path + " exists already", "replace it with --force, or choose -o");
}

/// Answers of a system that makes files without names and does not let them have one: security
/// modules, FUSE servers, and /proc that is not there any more.
bool refuses_to_link(int error) {
    return error == EPERM || error == EACCES || error == ENOENT || error == EXDEV ||
           error == EOPNOTSUPP || error == ENOSYS;
}

std::string path_of(int fd) {
    return fmt::format("/proc/self/fd/{}", fd);
}

bool is_same_file(const std::string& path, int fd) {
    struct stat by_path {};
    struct stat by_fd {};
    return ::stat(path.c_str(), &by_path) == 0 && ::fstat(fd, &by_fd) == 0 &&
           by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev;
}

Result<std::string> target_of(const std::string& path) {
    auto target = follow_links(path);
    if (!target) return write_failure(target.error().sys_errno, path);
    return target;
}

}  // namespace

Status OutputFile::check(const std::string& path, bool replaces) {
    SQUENV_TRY_ASSIGN(const std::string target, target_of(path));
    struct stat info {};
    if (::stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
        return fail(Errc::invalid_argument,
                    path + (S_ISDIR(info.st_mode) ? " is a directory" : " is not a regular file"),
                    "choose another name for the image with -o");
    if (!replaces && is_there(target)) return already_there(path);
    const std::string directory = output_directory(target);
    if (::access(directory.c_str(), W_OK | X_OK) != 0) return write_failure(errno, directory);
    return {};
}

OutputFile::OutputFile(std::string path, bool replaces)
    : path_(std::move(path)), replaces_(replaces), is_private_(replaces && is_there(path_)) {
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      replaces_(other.replaces_),
      is_private_(other.is_private_),
      replace_(std::move(other.replace_)),
      file_(std::move(other.file_)),
      temporary_name_(std::exchange(other.temporary_name_, {})),
      guard_(std::move(other.guard_)),
      access_note_(std::move(other.access_note_)) {
}

OutputFile::~OutputFile() {
    if (!temporary_name_.empty()) ::unlink(temporary_name_.c_str());
}

Result<OutputFile> OutputFile::create(const std::string& path, bool replaces, Replace replace) {
    SQUENV_TRY(check(path, replaces));
    SQUENV_TRY_ASSIGN(std::string target, target_of(path));
    OutputFile output(std::move(target), replaces);
    output.replace_ = std::move(replace);
    if (!output.open_unnamed()) SQUENV_TRY(output.open_named());
    return output;
}

bool OutputFile::open_unnamed() {
    auto file = open_file(output_directory(path_), O_TMPFILE | O_RDWR,
                          is_private_ ? kPrivateMode : kNewMode);
    // It gets its name by /proc, and is read back by it.
    if (!file || !is_same_file(path_of(file->get()), file->get())) return false;
    file_ = std::move(*file);
    apply_umask();
    return true;
}

/// Linux before 6.0 forgets the umask of files without a name where the file system has no ACLs.
void OutputFile::apply_umask() const {
    struct stat info {};
    const auto mask = process_umask();
    if (is_private_ || !mask || ::fstat(file_.get(), &info) != 0) return;
    const mode_t mode = info.st_mode & 0777U;
    // The ACL of a directory for new files stands in the place of the umask.
    const std::string directory = output_directory(path_);
    const bool is_ruled_by_acl =
        ::getxattr(directory.c_str(), "system.posix_acl_default", nullptr, 0) > 0;
    if ((mode & *mask) != 0 && !is_ruled_by_acl) (void)::fchmod(file_.get(), mode & ~*mask);
}

Status OutputFile::open_named() {
    for (int attempt = 1;; ++attempt) {
        // Remembered before it is there, so that there is no moment in which it could stay.
        set_temporary_name(new_temporary_name());
        auto file = open_file(temporary_name_, O_RDWR | O_CREAT | O_EXCL,
                              is_private_ ? kPrivateMode : kNewMode);
        if (file) {
            file_ = std::move(*file);
            return {};
        }
        const std::string name = temporary_name_;
        forget_temporary_name();
        if (file.error().sys_errno != EEXIST || attempt == kAttempts)
            return write_failure(file.error().sys_errno, name);
    }
}

std::string OutputFile::temporary_path() const {
    return temporary_name_.empty() ? path_of(file_.get()) : temporary_name_;
}

Status OutputFile::settle() {
    // Network file systems report a full disk as late as at the close of any descriptor.
    const int copy = ::fcntl(file_.get(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || ::close(copy) != 0) return write_failure(errno, path_);
    return {};
}

Status OutputFile::publish() {
    take_access();
    SQUENV_TRY(temporary_name_.empty() ? publish_unnamed() : publish_named());
    forget_temporary_name();
    // The image is complete and has its name; a directory that cannot be synced changes nothing
    // that could be taken back.
    if (auto directory = open_file(output_directory(path_), O_RDONLY | O_DIRECTORY))
        (void)::fsync(directory->get());
    return {};
}

void OutputFile::take_access() {
    if (!replaces_) return;
    if (auto note = keep_access(file_.get(), path_))
        access_note_ = std::move(*note);
    else if (const auto mask = process_umask(); mask && is_private_)
        // What it was to replace is gone, so it is a new file.
        (void)::fchmod(file_.get(), kNewMode & ~*mask);
}

int OutputFile::link_to(const std::string& name) const {
    return ::linkat(AT_FDCWD, path_of(file_.get()).c_str(), AT_FDCWD, name.c_str(),
                    AT_SYMLINK_FOLLOW) == 0
               ? 0
               : errno;
}

/// A link does not replace a file, as a rename does.
int OutputFile::link_under_temporary_name() {
    for (int attempt = 1;; ++attempt) {
        set_temporary_name(new_temporary_name());
        const int error = link_to(temporary_name_);
        if (error == 0) return error;
        forget_temporary_name();
        if (error != EEXIST || attempt == kAttempts) return error;
    }
}

Status OutputFile::publish_unnamed() {
    int error = replace_ ? EEXIST : link_to(path_);
    if (error == 0) return {};
    if (error == EEXIST && !replaces_) return already_there(path_);
    if (error == EEXIST) error = link_under_temporary_name();
    if (refuses_to_link(error))
        SQUENV_TRY(copy_to_named());
    else if (error != 0)
        return write_failure(error, path_);
    return publish_named();
}

Status OutputFile::copy_to_named() {
    constexpr std::size_t kPiece = 4U << 20;
    const UniqueFd from = std::move(file_);
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) return write_failure(errno, path_);
    SQUENV_TRY(open_named());
    const auto size = static_cast<std::uint64_t>(info.st_size);
    ByteVector piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size)));
    for (std::uint64_t at = 0; at < size; at += piece.size()) {
        piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - at)));
        if (const auto status = read_at(from.get(), piece, at); !status)
            return write_failure(status.error().sys_errno, path_);
        if (const auto status = write_at(file_.get(), piece, at); !status)
            return write_failure(status.error().sys_errno, path_);
    }
    if (::fsync(file_.get()) != 0) return write_failure(errno, path_);
    SQUENV_TRY(settle());
    take_access();
    return {};
}

Status OutputFile::publish_named() {
    if (replace_) return replace_(temporary_name_, path_);
    const char* from = temporary_name_.c_str();
    if (replaces_) {
        if (::rename(from, path_.c_str()) != 0) return write_failure(errno, path_);
        return {};
    }
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EEXIST) return already_there(path_);
    // Not every file system knows the flag; a link refuses to replace, too.
    if (errno != EINVAL && errno != ENOSYS) return write_failure(errno, path_);
    if (::link(from, path_.c_str()) == 0) {
        ::unlink(from);
        return {};
    }
    // Nor links: the check from the beginning is all there is.
    if (errno == EEXIST || is_there(path_)) return already_there(path_);
    if (::rename(from, path_.c_str()) != 0) return write_failure(errno, path_);
    return {};
}

/// "PATH.tmp." and digits. Where that is too long for a name, "squenv.tmp." and digits beside it.
std::string OutputFile::new_temporary_name() const {
    constexpr std::size_t kAdded = 5 + 16;
    const auto slash = path_.rfind('/');
    const std::size_t start = slash == std::string::npos ? 0 : slash + 1;
    const bool fits = path_.size() - start + kAdded <= NAME_MAX;
    return unique_name((fits ? path_ : path_.substr(0, start) + "squenv") + ".tmp.");
}

void OutputFile::set_temporary_name(std::string name) {
    temporary_name_ = std::move(name);
    guard_ = TemporaryName(temporary_name_);
}

void OutputFile::forget_temporary_name() {
    temporary_name_.clear();
    guard_ = TemporaryName();
}

}  // namespace squenv::pack
