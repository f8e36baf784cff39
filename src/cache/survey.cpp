// SPDX-License-Identifier: MIT
#include "cache/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpus.h"
#include "base/descriptor_limit.h"
#include "base/threads.h"

namespace squenv::cache {

namespace {

/// More threads wait for each other's locks in the kernel and do not survey faster.
constexpr unsigned kMaxThreads = 8;
/// The unit of st_blocks of stat(2).
constexpr std::uint64_t kStatBlock = 512;

/// A directory that stays open while directories in it are pending: paths can be longer than the
/// system permits.
struct OpenDirectory {
    std::unique_ptr<DIR, int (*)(DIR*)> stream;
    std::string path;  ///< relative to the tree, which is "" itself
    [[nodiscard]] int fd() const { return ::dirfd(stream.get()); }
    [[nodiscard]] std::string path_of(const std::string& name) const {
        return path.empty() ? name : path + '/' + name;
    }
};

/// A directory found in its parent; the tree itself has none.
struct Unlisted {
    std::shared_ptr<const OpenDirectory> parent;
    std::string name;
};

/// The result of reading one directory.
struct Findings {
    Survey sum{};
    std::vector<Unlisted> below{};
    Status status{};
};

/// Null for an unreadable directory: an image can have such modes.
Result<std::shared_ptr<const OpenDirectory>> open_directory(const Unlisted& directory) {
    const int at = directory.parent ? directory.parent->fd() : AT_FDCWD;
    const int fd =
        ::openat(at, directory.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) return std::shared_ptr<const OpenDirectory>();
    if (fd < 0) return fail_errno(errno, directory.name);
    DIR* const stream = ::fdopendir(fd);
    if (stream == nullptr) {
        const int code = errno;
        ::close(fd);
        return fail_errno(code, directory.name);
    }
    return std::shared_ptr<const OpenDirectory>(new OpenDirectory{
        std::unique_ptr<DIR, int (*)(DIR*)>(stream, &::closedir),
        directory.parent ? directory.parent->path_of(directory.name) : std::string()});
}

Findings look_into(const Unlisted& directory) {
    Findings found;
    const auto opened = open_directory(directory);
    if (!opened) found.status = tl::unexpected(opened.error());
    if (!opened || !*opened) return found;
    const OpenDirectory& listed = **opened;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(listed.stream.get());
        if (entry == nullptr) {
            if (errno != 0) found.status = fail_errno(errno, directory.name);
            return found;
        }
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        struct stat info {};
        // A directory that may be read and not searched shows names alone.
        if (::fstatat(listed.fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != EACCES) {
            found.status = fail_errno(errno, name);
            return found;
        }
        found.sum.add(listed.path_of(name), info);
        if (S_ISDIR(info.st_mode)) found.below.push_back({*opened, name});
    }
}

/// Threads that read directories until none is left. Thread-safe.
class Surveyor {
  public:
    explicit Surveyor(const std::string& root) { unlisted_.push_back({nullptr, root}); }

    /// The work of each thread.
    void work();
    /// Valid when all have returned.
    [[nodiscard]] const Status& status() const { return status_; }
    [[nodiscard]] const Survey& sum() const { return sum_; }

  private:
    void list_directories();
    void take_over(Findings found);

    std::mutex mutex_;  ///< protects all members
    std::condition_variable changed_;
    std::vector<Unlisted> unlisted_;  ///< the last one next: few levels are open at once
    unsigned working_ = 0;
    Survey sum_;
    Status status_;
};

void Surveyor::work() {
    try {
        list_directories();
    } catch (...) {
        // No other thread may wait for this one.
        const std::lock_guard lock(mutex_);
        --working_;
        unlisted_.clear();
        if (status_) status_ = tl::unexpected(Error{Errc::limit, ENOMEM, {}, {}});
        changed_.notify_all();
        throw;
    }
}

void Surveyor::list_directories() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return !unlisted_.empty() || working_ == 0; });
        if (unlisted_.empty()) return;
        Unlisted directory = std::move(unlisted_.back());
        unlisted_.pop_back();
        ++working_;
        lock.unlock();
        Findings found = look_into(directory);
        directory.parent.reset();
        lock.lock();
        take_over(std::move(found));
        --working_;
        changed_.notify_all();
    }
}

void Surveyor::take_over(Findings found) {
    sum_.add(found.sum);
    if (status_ && !found.status) status_ = std::move(found.status);
    if (status_)
        std::move(found.below.begin(), found.below.end(), std::back_inserter(unlisted_));
    else
        unlisted_.clear();
}

}  // namespace

void Survey::add(const std::string& path, const struct stat& info) {
    const auto number = [](auto value) { return static_cast<std::uint64_t>(value); };
    // The size of a directory depends on its file system.
    const std::array<std::uint64_t, 6> looks{
        number(info.st_mode),        number(S_ISDIR(info.st_mode) ? 0 : info.st_size),
        number(info.st_mtim.tv_sec), number(info.st_mtim.tv_nsec),
        number(info.st_ctim.tv_sec), number(info.st_ctim.tv_nsec)};
    std::string text = path;
    text.push_back('\0');
    text.append(reinterpret_cast<const char*>(looks.data()), sizeof looks);
    const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
    ++objects;
    bytes += number(info.st_blocks) * kStatBlock;
    low += hash.low64;
    high += hash.high64;
}

void Survey::add(const Survey& other) {
    objects += other.objects;
    bytes += other.bytes;
    low += other.low;
    high += other.high;
}

std::string Survey::fingerprint() const {
    return fmt::format("{}-{:016x}{:016x}", objects, high, low);
}

Result<Survey> survey_tree(const std::string& path) {
    const RaisedDescriptorLimit limit;
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path);
    Surveyor surveyor(path);
    try {
        run_on_threads(std::min(available_cpus(), kMaxThreads), [&surveyor] { surveyor.work(); });
    } catch (const std::bad_alloc&) {
        return fail_memory(path);
    }
    if (!surveyor.status()) return with_context(surveyor.status().error(), path);
    Survey survey = surveyor.sum();
    survey.add("", info);
    return survey;
}

}  // namespace squenv::cache
