// SPDX-License-Identifier: MIT
// tree_digest DIR: prints what DIR holds, as tree_record.h has it. One system call each, as any
// program would ask a mounted image.
#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tree_record.h"

using squenv::test::ContentHash;
using squenv::test::Record;

namespace {

void note_error(Record& record, const char* what) {
    record.error += std::string(what) + ":" + std::strerror(errno) + ";";
}

void read_xattrs(Record& record) {
    std::string names(65536, '\0');
    const ssize_t size = ::llistxattr(record.path.c_str(), names.data(), names.size());
    if (size < 0 && errno != EOPNOTSUPP) note_error(record, "listxattr");
    for (ssize_t i = 0; i < size;) {
        const std::string name = names.c_str() + i;
        i += static_cast<ssize_t>(name.size()) + 1;
        std::string value(65536, '\0');
        const ssize_t got =
            ::lgetxattr(record.path.c_str(), name.c_str(), value.data(), value.size());
        if (got < 0) {
            note_error(record, "getxattr");
            continue;
        }
        value.resize(static_cast<std::size_t>(got));
        record.xattrs[name] = value;
    }
}

void read_content(Record& record) {
    static std::vector<char> buffer(1 << 18);
    const int fd = ::open(record.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return note_error(record, "open");
    ContentHash hash;
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0) note_error(record, "read");
        if (got <= 0) break;
        hash.add(buffer.data(), static_cast<std::size_t>(got));
    }
    record.hash = hash.value();
    const auto end = static_cast<off_t>(record.size);
    for (off_t at = 0; at < end;) {
        const off_t start = ::lseek(fd, at, SEEK_DATA);
        if (start < 0 && errno != ENXIO) note_error(record, "seek");
        if (start < 0) break;
        at = ::lseek(fd, start, SEEK_HOLE);
        if (at < 0) {
            note_error(record, "seek");
            break;
        }
        record.data.emplace_back(start, at);
    }
    ::close(fd);
}

void visit(const std::string& path, std::vector<Record>& records) {
    Record record;
    record.path = path;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        note_error(record, "lstat");
        records.push_back(record);
        return;
    }
    record.mode = info.st_mode;
    record.uid = info.st_uid;
    record.gid = info.st_gid;
    record.nlink = info.st_nlink;
    record.size = static_cast<std::uint64_t>(info.st_size);
    record.mtime = info.st_mtim.tv_sec;
    record.device = info.st_rdev;
    record.identity = {info.st_dev, info.st_ino};
    read_xattrs(record);
    if (S_ISREG(info.st_mode)) read_content(record);
    if (S_ISLNK(info.st_mode)) {
        std::string target(65536, '\0');
        const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
        if (got < 0) note_error(record, "readlink");
        record.target = target.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    std::vector<std::string> names;
    if (S_ISDIR(info.st_mode)) {
        DIR* directory = ::opendir(path.c_str());
        if (directory == nullptr) note_error(record, "opendir");
        errno = 0;
        while (const dirent* entry = directory != nullptr ? ::readdir(directory) : nullptr)
            if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
                names.emplace_back(entry->d_name);
        if (directory != nullptr && errno != 0) note_error(record, "readdir");
        if (directory != nullptr) ::closedir(directory);
    }
    records.push_back(record);
    std::sort(names.begin(), names.end());
    for (const auto& name : names) visit(path == "." ? name : path + "/" + name, records);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 || ::chdir(argv[1]) != 0) {
        std::perror(argc == 2 ? argv[1] : "usage: tree_digest DIR");
        return 1;
    }
    std::vector<Record> records;
    visit(".", records);
    squenv::test::print(records);
    return 0;
}
