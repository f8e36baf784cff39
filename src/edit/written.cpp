// SPDX-License-Identifier: MIT
#include "edit/written.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <filesystem>
#include <tuple>

#include "base/unique_fd.h"

namespace squenv::edit {

namespace {

/// More than the steps in which a file system takes the time.
constexpr timespec kStep{0, 20'000'000};

std::string mark_of(const Session& session) {
    return session.staging + "/unpacked";
}

bool is_newer(const struct stat& info, const struct stat& mark) {
    return std::tie(info.st_ctim.tv_sec, info.st_ctim.tv_nsec) >
           std::tie(mark.st_ctim.tv_sec, mark.st_ctim.tv_nsec);
}

}  // namespace

Status mark_unpacked(const Session& session) {
    ::nanosleep(&kStep, nullptr);
    SQUENV_TRY(open_file(mark_of(session), O_WRONLY | O_CREAT, 0600));
    ::nanosleep(&kStep, nullptr);
    return {};
}

Result<std::uint64_t> count_written(const Session& session) {
    struct stat mark {};
    if (::lstat(mark_of(session).c_str(), &mark) != 0)
        return fail(Errc::corrupt, session.staging + ": the image was not unpacked to the end",
                    "throw the session away with --discard");
    std::uint64_t count = 0;
    const auto look = [&](const std::filesystem::path& path) {
        struct stat info {};
        if (::lstat(path.c_str(), &info) == 0 && is_newer(info, mark)) ++count;
    };
    look(session.tree());
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(session.tree(), error), end;
         !error && at != end; at.increment(error))
        look(at->path());
    if (error) return fail_errno(error.value(), session.tree());
    return count;
}

IsWritten written_files(const Session& session, const image::Image& image) {
    struct stat mark {};
    if (session.kind == Kind::tree) {
        if (::lstat(mark_of(session).c_str(), &mark) != 0) return [](auto&&...) { return false; };
        return [mark](const std::string&, const struct stat& info) { return is_newer(info, mark); };
    }
    return [&image](const std::string& path, const struct stat& info) {
        const auto old = image.resolve(path);
        return !old || !old->is_file() || old->mtime != info.st_mtim.tv_sec ||
               info.st_mtim.tv_nsec != 0 ||
               old->size_bytes != static_cast<std::uint64_t>(info.st_size);
    };
}

}  // namespace squenv::edit
