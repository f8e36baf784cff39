// SPDX-License-Identifier: MIT
#include "daemon/stage.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/file_io.h"
#include "base/log.h"
#include "base/page_buffer.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "base/units.h"

namespace squenv::daemon {

namespace {

/// Large enough for file systems that are slow per request, small enough to stop soon.
constexpr std::size_t kPiece = 4 << 20;
constexpr int kWaiting = 0;
constexpr int kCopying = 1;
constexpr int kEnding = 2;

Result<UniqueFd> make_file(const std::string& directory) {
    auto unnamed = open_file(directory, O_TMPFILE | O_RDWR, 0600);
    if (unnamed || (unnamed.error().sys_errno != EOPNOTSUPP && unnamed.error().sys_errno != EISDIR))
        return unnamed;
    // The file system has no files without names: the file loses its name at once.
    std::string path = directory + "/.squenv-stage-XXXXXX";
    UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (!file) return fail_errno(errno, directory);
    if (::unlink(path.c_str()) != 0) return fail_errno(errno, path);
    return file;
}

Status reserve_space(int file, std::uint64_t bytes, const std::string& directory) {
    struct statvfs space {};
    if (::fstatvfs(file, &space) == 0 && space.f_bavail * space.f_frsize < bytes)
        return fail(Errc::limit,
                    fmt::format("{}: {} are free, the image has {}", directory,
                                format_size(space.f_bavail * space.f_frsize), format_size(bytes)),
                    "stage somewhere else, or mount without");
    if (::fallocate(file, 0, 0, static_cast<off_t>(bytes)) == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return fail_errno(errno, directory);
    return {};
}

Status copy(const image::ByteSource& source, int file, const std::atomic<int>& state) {
    const std::uint64_t total = source.size_bytes();
    std::vector<Sha256> digests;
    PageBuffer piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, total)));
    for (const bool is_check : {false, true}) {
        for (std::uint64_t at = 0; at < total; at += piece.size()) {
            if (state == kEnding) return fail(Errc::cancelled, "unmounted");
            const MutableBytes bytes = piece.bytes().first(
                static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), total - at)));
            if (is_check) {
                if (const auto status = read_at(file, bytes, at); !status)
                    return with_context(status.error(), "reading back");
                if (sha256_of(bytes) != digests[at / piece.size()])
                    return fail(Errc::io, "the copy is not what was written");
            } else {
                SQUENV_TRY(source.read_exact(at, bytes));
                digests.push_back(sha256_of(bytes));
                if (const auto status = write_at(file, bytes, at); !status)
                    return with_context(status.error(), "writing");
            }
        }
    }
    if (source.has_changed()) return fail(Errc::io, "the image was changed meanwhile");
    return {};
}

}  // namespace

Result<Stage> Stage::open(const std::string& directory) {
    auto file = make_file(directory);
    if (!file && file.error().hint.empty())
        file.error().hint = "name another directory with -o stage=DIR";
    if (!file) return with_context(file.error(), "stage");
    SQUENV_TRY_ASSIGN(auto is_complete, make_passable_object<std::atomic<bool>>("squenv-stage"));
    return Stage(std::move(*file), directory, std::move(is_complete));
}

Result<Stage> Stage::adopt(UniqueFd file, UniqueFd is_complete, std::string directory) {
    SQUENV_TRY_ASSIGN(auto flag, map_passed_object<std::atomic<bool>>(std::move(is_complete)));
    return Stage(std::move(file), std::move(directory), std::move(flag));
}

Status Stage::reserve(std::uint64_t bytes) {
    const auto status = reserve_space(file_.get(), bytes, directory_);
    if (!status) return with_context(status.error(), "stage");
    return {};
}

Stage::~Stage() {
    if (!state_) return;
    state_->phase = kEnding;
    state_->phase.notify_all();
}

void Stage::start(const image::Image& image) {
    if (*is_complete_) return image.source().read_from_copy(file_.get());
    std::vector<std::jthread> made;
    const auto run = [&image, file = file_.get(), state = state_.get(),
                      is_complete = is_complete_.get()] {
        state->phase.wait(kWaiting);
        if (state->phase == kEnding) return;
        if (const auto status = copy(image.source(), file, state->phase); !status) {
            if (status.error().code != Errc::cancelled)
                log::warning("stage: {}; the image is read from where it is",
                             status.error().message());
            return;
        }
        *is_complete = true;
        image.source().read_from_copy(file);
        log::info("stage: the image is read from its copy now");
    };
    if (start_threads(made, 1, run) == 0)
        log::warning("stage: the system refuses a thread; the image is read from where it is");
    else
        thread_ = std::move(made.front());
}

void Stage::begin() {
    int waiting = kWaiting;
    state_->phase.compare_exchange_strong(waiting, kCopying);
    state_->phase.notify_all();
}

}  // namespace squenv::daemon
