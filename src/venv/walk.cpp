// SPDX-License-Identifier: MIT
#include "venv/walk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/cpus.h"
#include "base/threads.h"
#include "base/unique_fd.h"

namespace squenv::venv {

namespace {

constexpr unsigned kMostThreads = 16;

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

std::optional<std::vector<WalkEntry>> list_directory(const std::string& path) {
    const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(path.c_str()));
    if (!stream) return std::nullopt;
    std::vector<WalkEntry> entries;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") entries.push_back({name, kind_of(path, *entry)});
    }
    std::sort(entries.begin(), entries.end(),
              [](const WalkEntry& a, const WalkEntry& b) { return a.name < b.name; });
    return entries;
}

void walk(const std::string& root,
          const std::function<void(const std::string&,
                                   const std::optional<std::vector<WalkEntry>>&)>& visit) {
    std::mutex mutex;  // protects pending and busy
    std::condition_variable changed;
    std::vector<std::string> pending{""};
    unsigned busy = 0;
    const auto work = [&] {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [&] { return !pending.empty() || busy == 0; });
            if (pending.empty()) break;
            const std::string path = std::move(pending.back());
            pending.pop_back();
            ++busy;
            lock.unlock();
            const auto entries = list_directory(path.empty() ? root : join(root, path));
            visit(path, entries);
            lock.lock();
            --busy;
            for (const WalkEntry& entry : entries.value_or(std::vector<WalkEntry>()))
                if (entry.kind == Kind::directory) pending.push_back(join(path, entry.name));
            changed.notify_all();
        }
    };
    run_on_threads(std::clamp(available_cpus(), 2U, kMostThreads), work);
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
