// SPDX-License-Identifier: MIT
#include "versions/replacement.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/bytes.h"
#include "base/file_io.h"
#include "base/kept_access.h"
#include "versions/refusal.h"

namespace squenv::versions {

namespace {

/// As many as other processes may take meanwhile, where there are no locks.
constexpr int kLinkAttempts = 1000;
/// Programs that replace the image without the lock, one after the other.
constexpr int kRaces = 20;

/// The answers of a file system that has no such links, of another file system, and of a kernel
/// that permits links to the user's own files only.
bool is_without_links(int error) {
    return error == EPERM || error == EACCES || error == EMLINK || error == EOPNOTSUPP ||
           error == ENOSYS || error == EXDEV || error == EINVAL;
}

bool is_without_exchange(int error) {
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EXDEV ||
           error == EPERM;
}

/// A number from `least` on that no version has had, and no process at work has taken: it may have
/// no line yet.
std::uint64_t free_number(const Snapshot& found, std::uint64_t least) {
    std::uint64_t number = std::max(least, found.next());
    while (identity_at(found.place.file(number, kIncomingSuffix))) ++number;
    return number;
}

tl::unexpected<Error> changed_meanwhile(const Place& place) {
    return fail(Errc::busy, place.image + ": another program replaced it meanwhile", "try again");
}

Status copy_content(int from, int to, const std::string& path) {
    constexpr std::size_t kPiece = 4U << 20;
    struct stat info {};
    if (::fstat(from, &info) != 0) return fail_errno(errno, path);
    auto left = static_cast<std::uint64_t>(info.st_size);
    // Shares the blocks where the file system can.
    while (left > 0) {
        const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, left, 0);
        if (copied <= 0) break;
        left -= static_cast<std::uint64_t>(copied);
    }
    ByteVector piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, left)));
    for (auto at = static_cast<std::uint64_t>(info.st_size) - left; left > 0;) {
        piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), left)));
        SQUENV_TRY(read_at(from, piece, at));
        SQUENV_TRY(write_at(to, piece, at));
        at += piece.size();
        left -= piece.size();
    }
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    if (::futimens(to, times.data()) != 0 || ::fsync(to) != 0) return refused(errno, path);
    return {};
}

}  // namespace

Status copy_file(const std::string& from, const std::string& to) {
    SQUENV_TRY_ASSIGN(const UniqueFd source, open_file(from, O_RDONLY));
    SQUENV_TRY_ASSIGN(const UniqueFd target, open_file(to, O_RDWR | O_CREAT | O_EXCL, 0600));
    auto copied = copy_content(source.get(), target.get(), to);
    if (!copied) {
        ::unlink(to.c_str());
        if (copied.error().context.empty()) return refused(copied.error().sys_errno, to);
        return copied;
    }
    (void)keep_access(target.get(), from);
    return {};
}

Replacement::Replacement(Store& store, std::string fresh)
    : store_(&store), fresh_(std::move(fresh)), path_(fresh_) {
}

Replacement::Replacement(Replacement&& other) noexcept
    : store_(other.store_),
      fresh_(std::exchange(other.fresh_, {})),
      path_(std::exchange(other.path_, {})),
      number_(other.number_) {
}

Replacement::~Replacement() {
    put_back();
}

void Replacement::put_back() {
    if (fresh_.empty() || path_ == fresh_) return;
    (void)rename_new(path_, fresh_);
    path_ = fresh_;
}

Result<Replacement> Replacement::begin(Store& store, std::string fresh) {
    Replacement replacement(store, std::move(fresh));
    SQUENV_TRY(replacement.claim());
    return replacement;
}

/// The name that no other process can have at the same time is that of the incoming file.
Status Replacement::claim() {
    number_ = store_->found().next();
    for (int attempt = 0; attempt < kLinkAttempts; ++attempt) {
        const std::string incoming = place().file(number_, kIncomingSuffix);
        const int error = rename_new(fresh_, incoming);
        if (error == EXDEV) return {};
        if (error == EEXIST) {
            ++number_;
            continue;
        }
        if (error != 0) return refused(error, incoming);
        path_ = incoming;
        if (store_->is_locked()) return {};
        // Another process may have had the number from begin to end since the last look.
        SQUENV_TRY(store_->look());
        if (number_ >= store_->found().next()) return {};
        put_back();
        number_ = store_->found().next();
    }
    return fail(Errc::busy, place().directory + ": other processes make versions all the time",
                "try again");
}

Status Replacement::finish() {
    for (int attempt = 1;; ++attempt) {
        auto status = try_ways();
        const bool is_race = !status && status.error().code == Errc::busy;
        if (!is_race || attempt == kRaces) return status;
        SQUENV_TRY(store_->look());
    }
}

Status Replacement::try_ways() {
    if (!store_->found().image) return take_free_name();
    using Way = Result<Outcome> (Replacement::*)();
    // Without a lock only an exchange tells for sure what was replaced.
    std::array<Way, 3> ways{&Replacement::by_link, &Replacement::by_exchange,
                            &Replacement::by_copy};
    if (!store_->is_locked()) std::swap(ways[0], ways[1]);
    for (const Way way : ways) {
        SQUENV_TRY_ASSIGN(const Outcome outcome, (this->*way)());
        if (outcome == Outcome::done) return {};
    }
    return fail(Errc::unsupported, place().directory + ": no way to keep the current version",
                "replace it without --keep");
}

/// Nothing is kept, so nothing may be replaced.
Status Replacement::take_free_name() {
    const int error = rename_new(path_, place().image);
    if (error == EEXIST) return changed_meanwhile(place());
    if (error != 0) return refused(error, place().image);
    fresh_.clear();
    return {};
}

/// The last step of the ways that keep the current version first.
Status Replacement::take_name() {
    if (::rename(path_.c_str(), place().image.c_str()) != 0) return refused(errno, place().image);
    fresh_.clear();
    return {};
}

Result<Replacement::Outcome> Replacement::by_link() {
    const std::string kept = place().file(store_->found().current);
    const bool is_new = ::link(place().image.c_str(), kept.c_str()) == 0;
    if (!is_new && is_without_links(errno)) return Outcome::impossible;
    if (!is_new && errno != EEXIST) return refused(errno, kept);
    if (!is_new && !is_same_content(place().image, kept))
        return fail(Errc::exists, kept + " is in the way, with another content than it should have",
                    "move it to another directory");
    const auto linked = identity_at(kept);
    if (is_new && (!linked || !is_same_inode(*linked, *store_->found().image))) {
        ::unlink(kept.c_str());
        return changed_meanwhile(place());
    }
    SQUENV_TRY(take_name());
    return Outcome::done;
}

Result<Replacement::Outcome> Replacement::by_exchange() {
    if (path_ == fresh_) return Outcome::impossible;
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, place().image.c_str(), RENAME_EXCHANGE) !=
        0) {
        if (errno == ENOENT) return changed_meanwhile(place());
        if (is_without_exchange(errno)) return Outcome::impossible;
        return refused(errno, place().image);
    }
    fresh_.clear();
    SQUENV_TRY(keep_displaced());
    return Outcome::done;
}

/// The incoming file is now what the image was, whichever version that is.
Status Replacement::keep_displaced() {
    const auto file = identity_at(path_);
    if (!file) return {};
    std::uint64_t number = store_->found().current;
    if (!is_same_inode(*file, *store_->found().image)) {
        SQUENV_TRY(store_->look());
        number = store_->found().logged_number(*file, path_);
        if (number == 0) number = free_number(store_->found(), 1);
    }
    for (;;) {
        const int error = rename_new(path_, place().file(number));
        if (error == 0) return {};
        if (error != EEXIST) return refused(error, place().file(number));
        if (is_same_content(path_, place().file(number))) {
            ::unlink(path_.c_str());
            return {};
        }
        number = free_number(store_->found(), number + 1);
    }
}

Result<Replacement::Outcome> Replacement::by_copy() {
    const std::uint64_t current = store_->found().current;
    const std::string kept = place().file(current);
    if (!is_same_content(place().image, kept)) {
        const std::string copy = place().file(current, kCopySuffix);
        ::unlink(copy.c_str());
        SQUENV_TRY(copy_file(place().image, copy));
        const int error = rename_new(copy, kept);
        if (error != 0) {
            ::unlink(copy.c_str());
            return fail_errno(error, kept, "move what is there to another directory");
        }
    }
    SQUENV_TRY(take_name());
    return Outcome::done;
}

}  // namespace squenv::versions
