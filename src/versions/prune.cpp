// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <map>

#include "base/unique_fd.h"
#include "versions/refusal.h"
#include "versions/store.h"
#include "versions/versions.h"

namespace squenv::versions {

namespace {

/// Whether any process of this node has the file open: the daemon of a mount, the loop device of
/// another one, a copy under way. The kernel grants a lease for writing only on a file that is open
/// once. False when it cannot be told, as of the files of other users.
bool is_open_elsewhere(const std::string& path) {
    const auto file = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!file) return false;
    // An opening file is announced by SIGIO otherwise, which ends a process; this one does nothing.
    ::fcntl(file->get(), F_SETSIG, SIGURG);
    if (::fcntl(file->get(), F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN;
    ::fcntl(file->get(), F_SETLEASE, F_UNLCK);
    return false;
}

/// When each version stopped being current: the time of the one after it.
std::int64_t replaced_at(const Log& log, std::uint64_t number) {
    for (const Entry& entry : log.entries)
        if (entry.number > number) return entry.time;
    return std::numeric_limits<std::int64_t>::max();
}

class Pruning {
  public:
    Pruning(const Snapshot& found, const PruneOptions& options)
        : found_(found), options_(options), versions_(found.versions()) {}

    Result<Pruned> run() {
        for (std::size_t i = 0; i < versions_.size(); ++i) {
            const Version& version = versions_[i];
            const std::size_t newer = versions_.size() - 1 - i;
            if (version.is_current || !is_old(version, newer)) {
                result_.left.push_back(version);
                continue;
            }
            if (const std::string reason = reason_to_stay(version); !reason.empty()) {
                result_.spared.emplace_back(version, reason);
                result_.left.push_back(version);
                continue;
            }
            SQUENV_TRY(remove(version));
        }
        return std::move(result_);
    }

  private:
    /// `newer`: how many versions have a greater number.
    [[nodiscard]] bool is_old(const Version& version, std::size_t newer) const {
        const bool has_choice = options_.keep || options_.older_than_seconds;
        const std::uint64_t most = has_choice ? options_.keep.value_or(0) : kDefaultKeep;
        if (newer < most) return false;
        return !options_.older_than_seconds ||
               replaced_at(found_.log, version.number) <= now() - *options_.older_than_seconds;
    }

    [[nodiscard]] std::string reason_to_stay(const Version& version) const {
        if (version.is_pinned) return "pinned";
        // Another process has just replaced it, and gives it this name next.
        if (version.path != found_.place.file(version.number)) return "in use";
        const FileIdentity& file = found_.kept.at(version.number).identity;
        // It stays as the file of the current version.
        if (found_.image && is_same_inode(file, *found_.image)) return "";
        if (options_.is_mounted && options_.is_mounted(version.path, file.device, file.inode))
            return "mounted";
        if (is_open_elsewhere(version.path)) return "in use";
        return options_.reason_to_stay ? options_.reason_to_stay(version.number) : "";
    }

    Status remove(const Version& version) {
        struct stat info {};
        const bool is_there = ::lstat(version.path.c_str(), &info) == 0;
        const nlink_t links = info.st_nlink - gone_[info.st_ino];
        if (!is_there || (!options_.is_dry_run && ::unlink(version.path.c_str()) != 0)) {
            // Without locks another process may prune, too.
            if (errno == ENOENT) return {};
            return refused(errno, version.path);
        }
        if (options_.is_dry_run) ++gone_[info.st_ino];
        if (links <= 1) result_.freed_bytes += version.size_bytes;
        result_.removed.push_back(version);
        return {};
    }

    const Snapshot& found_;
    const PruneOptions& options_;
    const std::vector<Version> versions_;
    std::map<ino_t, nlink_t> gone_{};  ///< names that a real run would have removed by now
    Pruned result_{};
};

/// Without a current version the old ones are all there is.
Status check_current(const Snapshot& found) {
    const std::string& image = found.place.image;
    if (found.image) return {};
    if (found.kept.empty()) return no_image(image);
    return fail_errno(ENOENT, image,
                      "nothing is removed while it is missing; 'squenv rollback " + image +
                          "' brings the newest version back");
}

}  // namespace

Result<Pruned> prune(const std::string& image, const PruneOptions& options) {
    SQUENV_TRY_ASSIGN(const Place place, find_place(image));
    if (!place.is_directory() || options.is_dry_run) {
        SQUENV_TRY_ASSIGN(const Snapshot found, take_snapshot(place));
        SQUENV_TRY(check_current(found));
        return Pruning(found, options).run();
    }
    SQUENV_TRY_ASSIGN(const Store store, Store::open(place, Store::Purpose::make_room));
    SQUENV_TRY(check_current(store.found()));
    return Pruning(store.found(), options).run();
}

}  // namespace squenv::versions
