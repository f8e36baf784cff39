// SPDX-License-Identifier: MIT
#include "mount/record_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace squenv::mount {

Result<RecordFile> RecordFile::open(const std::string& path) {
    SQUENV_TRY_ASSIGN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT, 0666));
    // File systems without locks have nobody to wait for.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(Errc::busy, path + ": another mount is recording into it",
                    "record into another file");
    if (::ftruncate(fd.get(), 0) != 0) return fail_errno(errno, path);
    return RecordFile(std::move(fd), path);
}

Status RecordFile::write(const trace::Trace& trace) {
    const std::string text = trace::encode(trace);
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t size = ::write(fd_.get(), text.data() + done, text.size() - done);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, path_);
        done += static_cast<std::size_t>(size);
    }
    // Network file systems report a full disk as late as here.
    if (::close(fd_.release()) != 0) return fail_errno(errno, path_);
    return {};
}

}  // namespace squenv::mount
