// SPDX-License-Identifier: MIT
#include "daemon/recording_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_io.h"
#include "base/output_path.h"
#include "base/remote_error.h"
#include "base/socket_message.h"

namespace squenv::daemon {

namespace {

/// What the user can do about `sys_errno`.
std::string remedy_for(int sys_errno, const std::string& path) {
    switch (sys_errno) {
        case ENOENT:
            return "create its directory with 'mkdir -p " + output_directory(path) +
                   "', or record into another file";
        case EACCES:
        case EPERM:
        case EROFS: return "record into a file where you may write";
        case EISDIR: return "name a file in that directory";
        case ENOSPC:
        case EDQUOT: return "free some space or record into a file elsewhere";
        default: return "record into another file";
    }
}

}  // namespace

Result<RecordingFile> RecordingFile::open(const std::string& path, const image::ImageFile& image) {
    auto fd = open_file(path, O_WRONLY | O_CREAT, 0666);
    if (!fd) return fail_errno(fd.error().sys_errno, path, remedy_for(fd.error().sys_errno, path));
    SQUENV_TRY_ASSIGN(const auto file, identify(fd->get(), path));
    if (file.device == image.identity().device && file.inode == image.identity().inode)
        return fail(Errc::invalid_argument, path + ": is the image, and would be overwritten",
                    "record into another file");
    return RecordingFile(std::move(*fd), path);
}

Status RecordingFile::lock() {
    // Where files cannot be locked, another recording is not seen.
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(Errc::busy, path_ + ": another mount is recording into it",
                    "record into another file");
    return {};
}

Status RecordingFile::clear() {
    if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, path_, remedy_for(errno, path_));
    return {};
}

Status RecordingFile::write_to_end(const trace::Trace& trace) {
    SQUENV_TRY(write_all(fd_.get(), as_bytes(trace::encode(trace))));
    // Other processes of this mount have the same open file, whose lock would end with them.
    (void)::flock(fd_.get(), LOCK_UN);
    // Network file systems report a full disk as late as here.
    if (::close(fd_.release()) != 0) return fail_errno(errno, "");
    return {};
}

Status RecordingFile::write(const trace::Trace& trace) {
    const auto written = write_to_end(trace);
    if (written) return {};
    Error error = written.error();
    error.context = path_ + ": the recording is lost";
    error.hint = remedy_for(error.sys_errno, path_) + ", then run it again";
    if (notice_ >= 0) (void)send_message(notice_, encode_error(error));
    return tl::unexpected(std::move(error));
}

}  // namespace squenv::daemon
