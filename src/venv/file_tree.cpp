// SPDX-License-Identifier: MIT
#include "venv/file_tree.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "venv/files.h"

namespace squenv::venv {

namespace {

bool is_absent(int code) {
    return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

}  // namespace

Result<std::vector<FileEntry>> DirectoryTree::list(const std::string& path) const {
    const std::string whole = join(root_, path);
    errno = 0;
    auto entries = list_directory(whole);
    if (entries) return std::move(*entries);
    if (is_absent(errno)) return std::vector<FileEntry>();
    return fail_errno(errno, whole);
}

Result<std::string> DirectoryTree::read(const std::string& path, std::size_t limit) const {
    const std::string whole = join(root_, path);
    struct stat info {};
    if (::lstat(whole.c_str(), &info) != 0) {
        if (is_absent(errno)) return std::string();
        return fail_errno(errno, whole);
    }
    if (!S_ISREG(info.st_mode)) return std::string();
    SQUENV_TRY_ASSIGN(const UniqueFd file,
                      open_file(whole, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW));
    std::string text(limit, '\0');
    const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
    if (size < 0) return fail_errno(errno, whole);
    text.resize(static_cast<std::size_t>(size));
    return text;
}

Result<std::string> DirectoryTree::link(const std::string& path) const {
    const std::string whole = join(root_, path);
    std::string target(PATH_MAX, '\0');
    const ssize_t size = ::readlink(whole.c_str(), target.data(), target.size());
    if (size < 0) {
        if (is_absent(errno) || errno == EINVAL) return std::string();
        return fail_errno(errno, whole);
    }
    target.resize(static_cast<std::size_t>(size));
    return target;
}

}  // namespace squenv::venv
