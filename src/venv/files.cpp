// SPDX-License-Identifier: MIT
#include "venv/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/unique_fd.h"

namespace squenv::venv {

namespace {

struct CloseDirectory {
    void operator()(DIR* stream) const { ::closedir(stream); }
};

Kind kind_of(const std::string& directory, const dirent& entry) {
    switch (entry.d_type) {
        case DT_REG: return Kind::file;
        case DT_DIR: return Kind::directory;
        case DT_LNK: return Kind::symlink;
        case DT_UNKNOWN: break;
        default: return Kind::other;
    }
    struct stat info {};
    if (::lstat(join(directory, entry.d_name).c_str(), &info) != 0) return Kind::other;
    if (S_ISREG(info.st_mode)) return Kind::file;
    if (S_ISDIR(info.st_mode)) return Kind::directory;
    return S_ISLNK(info.st_mode) ? Kind::symlink : Kind::other;
}

}  // namespace

std::string join(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + '/' + name;
}

std::optional<std::vector<FileEntry>> list_directory(const std::string& path) {
    const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(path.c_str()));
    if (!stream) return std::nullopt;
    std::vector<FileEntry> entries;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") entries.push_back({name, kind_of(path, *entry)});
    }
    std::sort(entries.begin(), entries.end(),
              [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
    return entries;
}

std::optional<std::string> read_head(const std::string& path, std::size_t limit) {
    const auto file = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return std::nullopt;
    std::string text(limit, '\0');
    const ssize_t size = ::pread(file->get(), text.data(), text.size(), 0);
    if (size < 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(size));
    return text;
}

}  // namespace squenv::venv
