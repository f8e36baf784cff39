// SPDX-License-Identifier: MIT
#include "pack/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "base/threads.h"
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

/// One directory to list.
struct Task {
    NodeId node;
    std::string path;
    Node directory;  ///< a copy: other threads add to the tree meanwhile
};

/// What one thread found in one directory before it is added to the tree.
struct Listing {
    std::vector<Node> children;
    std::vector<Finding> problems;
    bool is_unreadable = false;  ///< the directory itself
};

/// The state the scanning threads share.
class Scan {
  public:
    Scan(int root, const std::string& overlay, const Options& options,
         const std::optional<SkippedFile>& output)
        : root_(root),
          overlay_(overlay),
          options_(options),
          output_(output),
          exclude_(options.exclude) {}

    Result<Scanned> run(unsigned threads);

  private:
    void work();
    Status list(const Task& task, TextArena& text, Listing& listing);
    Status list_tree(const Task& task, TextArena& text, Listing& listing);
    Status list_overlay(const Task& task, TextArena& text, Listing& listing) const;
    void add_overlay_entry(const Task& task, const std::string& name, const struct stat& info,
                           TextArena& text, Listing& listing) const;
    Status add_entry(int directory, const Task& task, const char* name, TextArena& text,
                     Listing& listing);
    void fill(Node& node, const struct statx& info);
    void publish(const Task& task, Listing listing);
    Status add_root();

    const int root_;
    const std::string& overlay_;  ///< a path, or ""
    const Options& options_;
    const std::optional<SkippedFile>& output_;
    const ExcludeList exclude_;
    std::uint64_t root_device_ = 0;

    std::mutex mutex_;  ///< protects everything below but the xattr sets, which lock themselves
    std::condition_variable changed_;
    std::vector<Task> tasks_;
    unsigned busy_ = 0;
    std::optional<Error> error_;
    Scanned result_;
};

void Scan::fill(Node& node, const struct statx& info) {
    node.type = *type_of(info.stx_mode);
    node.mode = info.stx_mode & 07777;
    node.uid = info.stx_uid;
    node.gid = info.stx_gid;
    node.source_inode = info.stx_ino;
    node.mtime_seconds = info.stx_mtime.tv_sec;
    node.mtime_nanoseconds = info.stx_mtime.tv_nsec;
    node.ctime_ns = time_in_ns(info.stx_ctime);
    if (node.type == InodeType::file) {
        node.size_bytes = info.stx_size;
        node.has_holes = info.stx_blocks * 512 < info.stx_size;
    }
    if (node.type == InodeType::block_device || node.type == InodeType::char_device)
        node.device = encode_device(info.stx_rdev_major, info.stx_rdev_minor);
    node.is_hard_linked = info.stx_nlink > 1 && node.type != InodeType::directory;
    const std::uint64_t device = makedev(info.stx_dev_major, info.stx_dev_minor);
    std::lock_guard lock(mutex_);
    auto& devices = result_.tree.devices;
    const auto known = std::find(devices.begin(), devices.end(), device);
    node.source_device = static_cast<std::uint32_t>(known - devices.begin());
    if (known == devices.end()) devices.push_back(device);
}

Status Scan::add_entry(int directory, const Task& task, const char* name, TextArena& text,
                       Listing& listing) {
    const std::string path = task.path.empty() ? name : task.path + '/' + name;
    struct statx info {};
    if (::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &info) !=
        0) {
        listing.problems.push_back(failure(path, errno));
        return {};
    }
    if (!type_of(info.stx_mode)) return {};
    const std::uint64_t device = makedev(info.stx_dev_major, info.stx_dev_minor);
    if (output_ && output_->device == device && output_->inode == info.stx_ino) return {};
    if (exclude_.matches(path, S_ISDIR(info.stx_mode))) return {};

    Node node;
    fill(node, info);
    node.parent = task.node;
    if (node.type == InodeType::symlink) {
        std::array<char, format::kMaxSymlinkTarget + 1> target;
        const ssize_t size = ::readlinkat(directory, name, target.data(), target.size());
        if (size < 0) {
            listing.problems.push_back(failure(path, errno));
            return {};
        }
        if (static_cast<std::size_t>(size) > format::kMaxSymlinkTarget)
            return fail(Errc::limit, path + ": symlink target longer than 4095 bytes",
                        "no Linux system can follow it; exclude it");
        node.size_bytes = static_cast<std::uint64_t>(size);
        node.target = text.store({target.data(), static_cast<std::size_t>(size)});
    }
    const std::string handle = fmt::format("/proc/self/fd/{}/{}", directory, name);
    XattrSet xattrs = read_xattrs(handle, result_.xattrs);
    if (!xattrs.empty()) node.xattrs = result_.xattrs.intern(std::move(xattrs));
    const std::string_view name_view(name);
    node.name = text.store(name_view);
    node.name_size = static_cast<std::uint8_t>(name_view.size());
    listing.children.push_back(node);
    return {};
}

/// An entry of the overlay takes the place of a file; what else is there stays.
void Scan::add_overlay_entry(const Task& task, const std::string& name, const struct stat& info,
                             TextArena& text, Listing& listing) const {
    const bool is_directory = S_ISDIR(info.st_mode);
    if (!is_directory && !S_ISREG(info.st_mode)) return;
    const std::string path = task.path.empty() ? name : task.path + '/' + name;
    if (exclude_.matches(path, is_directory)) return;
    auto& children = listing.children;
    const auto place = std::lower_bound(
        children.begin(), children.end(), name,
        [](const Node& node, const std::string& wanted) { return node.name_view() < wanted; });
    const bool is_there = place != children.end() && place->name_view() == name;
    if (is_there && (is_directory || place->type != InodeType::file)) return;
    Node node;
    node.type = is_directory ? InodeType::directory : InodeType::file;
    node.mode = is_directory ? task.directory.mode
                             : static_cast<std::uint16_t>(task.directory.mode & 0666);
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

Status Scan::list_overlay(const Task& task, TextArena& text, Listing& listing) const {
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

Status Scan::list(const Task& task, TextArena& text, Listing& listing) {
    if (!task.directory.is_overlay) SQUENV_TRY(list_tree(task, text, listing));
    if (overlay_.empty() || listing.is_unreadable) return {};
    return list_overlay(task, text, listing);
}

Status Scan::list_tree(const Task& task, TextArena& text, Listing& listing) {
    const auto failed = [&](int sys_errno) {
        listing.is_unreadable = true;
        listing.problems.push_back(failure(task.path.empty() ? "." : task.path, sys_errno));
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
        SQUENV_TRY(add_entry(directory, task, entry->d_name, text, listing));
    }
    if (errno != 0) failed(errno);
    std::sort(listing.children.begin(), listing.children.end(),
              [](const Node& a, const Node& b) { return a.name_view() < b.name_view(); });
    return {};
}

void Scan::publish(const Task& task, Listing listing) {
    Tree& tree = result_.tree;
    if (tree.nodes.size() + listing.children.size() >= kNoNode) {
        error_ = Error{Errc::limit, 0, "more than 4294967294 files", {}};
        return;
    }
    if (listing.is_unreadable) {
        tree.at(task.node).is_left_out = true;
        listing.children.clear();
        if (task.node == kRootNode)
            error_ = Error{Errc::denied, 0, listing.problems.front().reason, {}};
    }
    const auto first = static_cast<NodeId>(tree.nodes.size());
    tree.at(task.node).first_child = first;
    tree.at(task.node).child_count = static_cast<std::uint32_t>(listing.children.size());
    for (const Node& child : listing.children) {
        const auto id = static_cast<NodeId>(tree.nodes.size());
        tree.nodes.push_back(child);
        const bool is_crossed = options_.stays_on_file_system &&
                                tree.devices[child.source_device] != root_device_;
        if (child.type == InodeType::directory && !is_crossed) {
            std::string path(child.name_view());
            tasks_.push_back({id, task.path.empty() ? path : task.path + '/' + path, child});
        }
    }
    for (Finding& problem : listing.problems) result_.problems.push_back(std::move(problem));
}

void Scan::work() {
    TextArena text;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return !tasks_.empty() || busy_ == 0 || error_; });
        if (error_ || tasks_.empty()) break;
        const Task task = std::move(tasks_.back());
        tasks_.pop_back();
        ++busy_;
        lock.unlock();
        Listing listing;
        Status status = is_cancelled(options_) ? Status(cancelled()) : list(task, text, listing);
        lock.lock();
        --busy_;
        if (status)
            publish(task, std::move(listing));
        else if (!error_)
            error_ = status.error();
        changed_.notify_all();
    }
    result_.tree.text.adopt(std::move(text));
    changed_.notify_all();
}

Status Scan::add_root() {
    struct statx info {};
    if (::statx(root_, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info) != 0)
        return fail_errno(errno, "");
    Node node;
    fill(node, info);
    root_device_ = makedev(info.stx_dev_major, info.stx_dev_minor);
    XattrSet xattrs = read_xattrs(fmt::format("/proc/self/fd/{}/.", root_), result_.xattrs);
    if (!xattrs.empty()) node.xattrs = result_.xattrs.intern(std::move(xattrs));
    result_.tree.nodes.push_back(node);
    tasks_.push_back({kRootNode, "", node});
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
                               const std::optional<SkippedFile>& output) {
    return Scan(root, overlay, options, output).run(reader_threads(options));
}

}  // namespace squenv::pack
