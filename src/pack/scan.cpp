// SPDX-License-Identifier: MIT
#include "pack/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <new>
#include <system_error>

#include "base/file_io.h"
#include "base/threads.h"
#include "base/unique_fd.h"
#include "format/posix.h"
#include "pack/exclude.h"
#include "pack/threads.h"

namespace squenv::pack {

namespace {

using format::InodeType;
namespace fs = std::filesystem;

struct CloseDirectory {
    void operator()(DIR* stream) const { ::closedir(stream); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

Finding failure(std::string path, int sys_errno) {
    return {std::move(path), std::generic_category().message(sys_errno), errc_of(sys_errno)};
}

/// Where `name` lies when it is in the directory at `path`, "" for the root.
std::string join(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + '/' + std::string(name);
}

/// The target of a symlink, of which one byte too many shows that it is too long; nothing, and
/// errno set, when it cannot be read.
std::optional<std::string_view> read_target(int directory, const char* name, TextArena& text) {
    std::array<char, format::kMaxSymlinkTarget + 1> target;
    const ssize_t size = ::readlinkat(directory, name, target.data(), target.size());
    if (size < 0) return std::nullopt;
    const std::string_view view(target.data(), static_cast<std::size_t>(size));
    return std::string_view(text.store(view), view.size());
}

/// The first bytes of an open file; fewer when it is shorter or cannot be read.
std::string_view read_head(int file, TextArena& text) {
    std::array<char, kSeenHeadBytes> head;
    const ssize_t size = ::pread(file, head.data(), head.size(), 0);
    const std::string_view view(head.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return {text.store(view), view.size()};
}

/// One directory to list.
struct Task {
    EntryId node;  ///< kNoEntry: it is only shown to the observer
    std::string path;
    Node directory{};  ///< a copy: other threads add to the tree meanwhile

    [[nodiscard]] bool is_packed() const { return node != kNoEntry; }
};

/// What one thread found in one directory before it is added to the tree.
struct FoundObjects {
    std::vector<Node> children;
    std::vector<Finding> problems;
    std::vector<SeenEntry> seen;         ///< for the observer
    std::vector<std::string> only_seen;  ///< paths of directories that are left out
    bool is_unreadable = false;          ///< the directory itself
};

/// The state the scanning threads share.
class Scan {
  public:
    Scan(int root, const std::string& overlay, const Options& options,
         const std::optional<SkippedFile>& output, TreeObserver* observer)
        : root_(root),
          overlay_(overlay),
          options_(options),
          output_(output),
          observer_(observer),
          exclude_(options.exclude) {}

    Result<Scanned> run(unsigned threads);

  private:
    void work();
    void scan_directories(TextArena& text);
    Status list(const Task& task, TextArena& text, FoundObjects& listing);
    Status list_tree(const Task& task, TextArena& text, FoundObjects& listing);
    Status list_overlay(const Task& task, TextArena& text, FoundObjects& listing) const;
    void add_overlay_entry(const Task& task, const std::string& name, const struct stat& info,
                           TextArena& text, FoundObjects& listing) const;
    Status add_entry(int directory, const Task& task, const dirent& entry, TextArena& text,
                     FoundObjects& listing);
    void add_node(int directory, const Task& task, const SeenEntry& seen, const struct stat& info,
                  FoundObjects& listing);
    [[nodiscard]] bool is_left_out(const std::string& path, const struct stat& info) const;
    void add_problem(const Task& task, FoundObjects& listing, std::string path,
                     int sys_errno) const;
    /// The file, if the observer is interested in its beginning and it can be opened.
    [[nodiscard]] UniqueFd open_for_head(int directory, const Task& task,
                                         const dirent& entry) const;
    void fill(Node& node, const struct stat& info);
    void publish(const Task& task, FoundObjects listing);
    Status add_root();

    const int root_;
    const std::string& overlay_;  ///< a path, or ""
    const Options& options_;
    const std::optional<SkippedFile>& output_;
    TreeObserver* const observer_;  ///< may be null
    const ExcludeList exclude_;
    std::uint64_t root_device_ = 0;

    std::mutex mutex_;  ///< protects everything below but the xattr sets, which lock themselves
    std::condition_variable changed_;
    std::vector<Task> tasks_;
    unsigned busy_ = 0;
    std::optional<Error> error_;
    Scanned result_;
};

void Scan::fill(Node& node, const struct stat& info) {
    node.type = *type_of(info.st_mode);
    node.mode = info.st_mode & 07777;
    node.uid = info.st_uid;
    node.gid = info.st_gid;
    node.source_inode = info.st_ino;
    node.mtime_seconds = info.st_mtim.tv_sec;
    node.mtime_nanoseconds = static_cast<std::uint32_t>(info.st_mtim.tv_nsec);
    node.ctime_ns = time_in_ns(info.st_ctim);
    if (node.type == InodeType::file) {
        node.size_bytes = static_cast<std::uint64_t>(info.st_size);
        node.has_holes = static_cast<std::uint64_t>(info.st_blocks) * 512 < node.size_bytes;
    }
    if (node.type == InodeType::block_device || node.type == InodeType::char_device)
        node.device = format::encode_device(info.st_rdev);
    node.is_hard_linked = info.st_nlink > 1 && node.type != InodeType::directory;
    std::lock_guard lock(mutex_);
    auto& devices = result_.tree.devices;
    const auto known = std::find(devices.begin(), devices.end(), info.st_dev);
    node.source_device = static_cast<std::uint32_t>(known - devices.begin());
    if (known == devices.end()) devices.push_back(info.st_dev);
}

bool Scan::is_left_out(const std::string& path, const struct stat& info) const {
    if (!type_of(info.st_mode)) return true;
    if (output_ && output_->device == info.st_dev && output_->inode == info.st_ino) return true;
    return exclude_.matches(path, S_ISDIR(info.st_mode));
}

void Scan::add_problem(const Task& task, FoundObjects& listing, std::string path,
                       int sys_errno) const {
    // No fault of the file, which must not be left out for it.
    if (sys_errno == ENOMEM) throw std::bad_alloc();
    if (task.is_packed()) listing.problems.push_back(failure(std::move(path), sys_errno));
}

UniqueFd Scan::open_for_head(int directory, const Task& task, const dirent& entry) const {
    if (observer_ == nullptr || entry.d_type != DT_REG ||
        !observer_->wants_head(task.path, entry.d_name))
        return {};
    // O_NONBLOCK: a fifo may have taken the place of the file.
    return UniqueFd(::openat(directory, entry.d_name,
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

Status Scan::add_entry(int directory, const Task& task, const dirent& entry, TextArena& text,
                       FoundObjects& listing) {
    const char* const name = entry.d_name;
    const std::string path = join(task.path, name);
    const UniqueFd file = open_for_head(directory, task, entry);
    struct stat info {};
    const bool has_attributes =
        file ? stat_open_file(file.get(), info)
             : ::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
    if (!has_attributes) add_problem(task, listing, path, errno);
    const bool is_packed = has_attributes && task.is_packed() && !is_left_out(path, info);
    if (!is_packed && observer_ == nullptr) return {};

    SeenEntry seen;
    seen.name = {text.store(name), std::string_view(name).size()};
    seen.has_attributes = has_attributes;
    seen.mode = has_attributes ? info.st_mode : DTTOIF(entry.d_type);
    seen.size_bytes = static_cast<std::uint64_t>(info.st_size);
    seen.mtime_seconds = info.st_mtim.tv_sec;
    if (file) seen.head = read_head(file.get(), text);
    std::optional<std::string_view> target;
    if (seen.is_symlink()) target = read_target(directory, name, text);
    const int target_errno = errno;
    seen.target = target.value_or(std::string_view());
    if (observer_ != nullptr) listing.seen.push_back(seen);
    if (!is_packed) {
        if (S_ISDIR(seen.mode)) listing.only_seen.push_back(path);
        return {};
    }
    if (seen.is_symlink() && !target) {
        add_problem(task, listing, path, target_errno);
        return {};
    }
    if (seen.target.size() > format::kMaxSymlinkTarget)
        return fail(Errc::limit, path + ": symlink target longer than 4095 bytes",
                    "no Linux system can follow it; exclude it");
    add_node(directory, task, seen, info, listing);
    return {};
}

void Scan::add_node(int directory, const Task& task, const SeenEntry& seen, const struct stat& info,
                    FoundObjects& listing) {
    Node node;
    fill(node, info);
    node.parent = task.node;
    node.name = seen.name.data();
    node.name_size = static_cast<std::uint8_t>(seen.name.size());
    if (seen.is_symlink()) {
        node.target = seen.target.data();
        node.size_bytes = seen.target.size();
    }
    const std::string handle = fmt::format("/proc/self/fd/{}/{}", directory, seen.name);
    XattrSet xattrs = read_xattrs(handle, result_.xattrs);
    if (!xattrs.empty()) node.xattrs = result_.xattrs.intern(std::move(xattrs));
    listing.children.push_back(node);
}

/// An entry of the overlay takes the place of a file; what else is there stays.
void Scan::add_overlay_entry(const Task& task, const std::string& name, const struct stat& info,
                             TextArena& text, FoundObjects& listing) const {
    const bool is_directory = S_ISDIR(info.st_mode);
    if (!is_directory && !S_ISREG(info.st_mode)) return;
    if (exclude_.matches(join(task.path, name), is_directory)) return;
    auto& children = listing.children;
    const auto place = std::lower_bound(
        children.begin(), children.end(), name,
        [](const Node& node, const std::string& wanted) { return node.name_view() < wanted; });
    const bool is_there = place != children.end() && place->name_view() == name;
    if (is_there && (is_directory || place->type != InodeType::file)) return;
    Node node;
    node.type = is_directory ? InodeType::directory : InodeType::file;
    node.mode =
        is_directory ? task.directory.mode : static_cast<std::uint16_t>(task.directory.mode & 0666);
    node.uid = task.directory.uid;
    node.gid = task.directory.gid;
    node.mtime_seconds = task.directory.mtime_seconds;
    node.mtime_nanoseconds = task.directory.mtime_nanoseconds;
    node.source_device = task.directory.source_device;
    node.source_inode = info.st_ino;
    node.ctime_ns = time_in_ns(info.st_ctim);
    if (!is_directory) node.size_bytes = static_cast<std::uint64_t>(info.st_size);
    node.parent = task.node;
    node.is_overlay = true;
    node.name = is_there ? place->name : text.store(name);
    node.name_size = static_cast<std::uint8_t>(name.size());
    if (is_there)
        *place = node;
    else
        children.insert(place, node);
}

Status Scan::list_overlay(const Task& task, TextArena& text, FoundObjects& listing) const {
    std::error_code error;
    const fs::path directory = fs::path(overlay_) / task.path;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        struct stat info {};
        if (::lstat(entry->path().c_str(), &info) != 0)
            return fail_errno(errno, entry->path().string());
        add_overlay_entry(task, entry->path().filename().string(), info, text, listing);
    }
    // It has no such directory, or can have none.
    if (!error || error == std::errc::no_such_file_or_directory ||
        error == std::errc::not_a_directory || error == std::errc::filename_too_long)
        return {};
    return fail_errno(error.value(), directory.string());
}

Status Scan::list(const Task& task, TextArena& text, FoundObjects& listing) {
    if (!task.directory.is_overlay) SQUENV_TRY(list_tree(task, text, listing));
    if (overlay_.empty() || listing.is_unreadable) return {};
    return list_overlay(task, text, listing);
}

Status Scan::list_tree(const Task& task, TextArena& text, FoundObjects& listing) {
    const auto failed = [&](int sys_errno) {
        listing.is_unreadable = true;
        add_problem(task, listing, task.path.empty() ? "." : task.path, sys_errno);
        if (observer_ != nullptr) observer_->visit({task.path});
    };
    auto fd = open_below(root_, task.path.empty() ? "." : task.path, O_RDONLY | O_DIRECTORY);
    if (!fd) {
        failed(fd.error().sys_errno);
        return {};
    }
    const DirectoryStream stream(::fdopendir(fd->get()));
    if (!stream) {
        failed(errno);
        return {};
    }
    const int directory = fd->release();
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) break;
        const std::string_view name(entry->d_name);
        if (name == "." || name == "..") continue;
        SQUENV_TRY(add_entry(directory, task, *entry, text, listing));
    }
    if (errno != 0)
        failed(errno);
    else if (observer_ != nullptr)
        observer_->visit({task.path, directory, &listing.seen});
    std::sort(listing.children.begin(), listing.children.end(),
              [](const Node& a, const Node& b) { return a.name_view() < b.name_view(); });
    return {};
}

void Scan::publish(const Task& task, FoundObjects listing) {
    for (std::string& path : listing.only_seen) tasks_.push_back({kNoEntry, std::move(path)});
    if (!task.is_packed()) return;
    Tree& tree = result_.tree;
    if (tree.nodes.size() + listing.children.size() >= kNoEntry) {
        error_ = Error{Errc::limit, 0, "more than 4294967294 files", {}};
        return;
    }
    if (listing.is_unreadable) {
        tree.at(task.node).is_left_out = true;
        listing.children.clear();
        if (task.node == kRootEntry)
            error_ = Error{Errc::denied, 0, listing.problems.front().reason, {}};
    }
    const auto first = static_cast<EntryId>(tree.nodes.size());
    tree.at(task.node).first_child = first;
    tree.at(task.node).child_count = static_cast<std::uint32_t>(listing.children.size());
    for (const Node& child : listing.children) {
        const auto id = static_cast<EntryId>(tree.nodes.size());
        tree.nodes.push_back(child);
        if (child.type != InodeType::directory) continue;
        const bool is_crossed =
            options_.stays_on_file_system && tree.devices[child.source_device] != root_device_;
        if (!is_crossed)
            tasks_.push_back({id, join(task.path, child.name_view()), child});
        else if (observer_ != nullptr)
            tasks_.push_back({kNoEntry, join(task.path, child.name_view())});
    }
    for (Finding& problem : listing.problems) result_.problems.push_back(std::move(problem));
}

void Scan::work() {
    TextArena text;
    try {
        scan_directories(text);
    } catch (...) {
        // The directory stays busy for ever: nothing may wait for it.
        std::lock_guard lock(mutex_);
        if (!error_) error_ = Error{Errc::limit, ENOMEM, {}, {}};
        changed_.notify_all();
        throw;
    }
    std::lock_guard lock(mutex_);
    result_.tree.text.adopt(std::move(text));
}

void Scan::scan_directories(TextArena& text) {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return !tasks_.empty() || busy_ == 0 || error_; });
        if (error_ || tasks_.empty()) break;
        const Task task = std::move(tasks_.back());
        tasks_.pop_back();
        ++busy_;
        lock.unlock();
        FoundObjects listing;
        Status status = is_cancelled(options_) ? Status(cancelled()) : list(task, text, listing);
        lock.lock();
        --busy_;
        if (status)
            publish(task, std::move(listing));
        else if (!error_)
            error_ = status.error();
        changed_.notify_all();
    }
    changed_.notify_all();
}

Status Scan::add_root() {
    struct stat info {};
    if (!stat_open_file(root_, info)) return fail_errno(errno, "");
    Node node;
    fill(node, info);
    root_device_ = info.st_dev;
    XattrSet xattrs = read_xattrs(fmt::format("/proc/self/fd/{}/.", root_), result_.xattrs);
    if (!xattrs.empty()) node.xattrs = result_.xattrs.intern(std::move(xattrs));
    result_.tree.nodes.push_back(node);
    tasks_.push_back({kRootEntry, "", node});
    return {};
}

Result<Scanned> Scan::run(unsigned threads) {
    SQUENV_TRY(add_root());
    run_on_threads(threads, [this] { work(); });
    if (error_) return tl::unexpected(*error_);
    auto& problems = result_.problems;
    std::sort(problems.begin(), problems.end(),
              [](const Finding& a, const Finding& b) { return a.path < b.path; });
    return std::move(result_);
}

}  // namespace

Result<Scanned> scan_directory(int root, const std::string& overlay, const Options& options,
                               const std::optional<SkippedFile>& output, TreeObserver* observer) {
    return Scan(root, overlay, options, output, observer).run(reader_threads(options));
}

}  // namespace squenv::pack
