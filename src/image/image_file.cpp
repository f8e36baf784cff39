// SPDX-License-Identifier: MIT
#include "image/image_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/paths.h"

namespace squenv::image {

namespace {

Result<std::uint64_t> length_of(int fd, const struct stat& info, const std::string& path) {
    if (S_ISREG(info.st_mode)) return static_cast<std::uint64_t>(info.st_size);
    if (S_ISBLK(info.st_mode)) {
        std::uint64_t bytes = 0;
        if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) return fail_errno(errno, path);
        return bytes;
    }
    if (S_ISDIR(info.st_mode))
        return fail(Errc::invalid_argument, path + ": is a directory, not an image",
                    "pack it first with 'squenv pack'");
    return fail(Errc::invalid_argument, path + ": not a regular file or block device",
                "name the file of an image");
}

/// What the owner of an image, or of a directory above it, can do for this user.
tl::unexpected<Error> refused(Error error, const std::string& path) {
    if (error.sys_errno == ENOENT) error.hint = "'squenv pack' makes an image of a directory";
    if (error.sys_errno != EACCES) return tl::unexpected(std::move(error));
    const std::string closed = closed_directory(path);
    if (!closed.empty()) error.context = fmt::format("{}: {} may not be entered", path, closed);
    error.hint = closed.empty() ? permission_remedy(path, "r") : permission_remedy(closed, "x");
    return tl::unexpected(std::move(error));
}

}  // namespace

Result<std::shared_ptr<const ImageFile>> ImageFile::open(const std::string& path) {
    auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!fd) return refused(fd.error(), path);
    return adopt(std::move(*fd), path);
}

Result<std::shared_ptr<const ImageFile>> ImageFile::adopt(UniqueFd file, const std::string& path) {
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return fail_errno(errno, path);
    SQUENV_TRY_ASSIGN(const auto bytes, length_of(file.get(), info, path));
    return std::shared_ptr<const ImageFile>(
        new ImageFile(path, std::move(file), identity_of(info), bytes));
}

}  // namespace squenv::image
