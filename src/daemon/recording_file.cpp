// SPDX-License-Identifier: MIT
#include "daemon/recording_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_io.h"

namespace squenv::daemon {

Result<RecordingFile> RecordingFile::open(const std::string& path, const image::ImageFile& image) {
    SQUENV_TRY_ASSIGN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT, 0666));
    SQUENV_TRY_ASSIGN(const auto file, identify(fd.get(), path));
    if (file.device == image.identity().device && file.inode == image.identity().inode)
        return fail(Errc::invalid_argument, path + ": is the image, and would be overwritten",
                    "record into another file");
    return RecordingFile(std::move(fd), path);
}

Status RecordingFile::lock() {
    // Where files cannot be locked, another recording is not seen.
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(Errc::busy, path_ + ": another mount is recording into it",
                    "record into another file");
    return {};
}

Status RecordingFile::clear() {
    if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, path_);
    return {};
}

Status RecordingFile::write(const trace::Trace& trace) {
    if (const auto status = write_all(fd_.get(), as_bytes(trace::encode(trace))); !status)
        return with_context(status.error(), path_);
    // Other processes of this mount have the same open file, whose lock would end with them.
    (void)::flock(fd_.get(), LOCK_UN);
    // Network file systems report a full disk as late as here.
    if (::close(fd_.release()) != 0) return fail_errno(errno, path_);
    return {};
}

}  // namespace squenv::daemon
