// SPDX-License-Identifier: MIT
// The file that receives the recording of a mount.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image_file.h"
#include "trace/trace.h"

namespace squenv::daemon {

/// Opened, locked and emptied before the mount is made, because the daemon may open nothing later;
/// written when the mount is gone. A temporary file and a rename are denied to it as well, so what
/// is there in between is an empty file, and a trace without its last line is no trace.
/// Not thread-safe.
class RecordingFile {
  public:
    /// Makes the file at `path` if there is none; what is in it stays. Errors: invalid_argument (it
    /// is `image`), denied, and others of opening.
    [[nodiscard]] static Result<RecordingFile> open(const std::string& path,
                                                    const image::ImageFile& image);
    /// Until it is written, or this is gone. Errors: busy (another mount records into it).
    [[nodiscard]] Status lock();
    /// Errors: of ftruncate(2).
    [[nodiscard]] Status clear();
    [[nodiscard]] int descriptor() const { return fd_.get(); }
    /// An error of write() is sent there, too: see base/remote_error.h. -1 is none. The socket is
    /// lent, and open until then.
    void report_to(int socket) { notice_ = socket; }
    /// One that another process of the mount has opened, locked and emptied.
    [[nodiscard]] static RecordingFile adopt(UniqueFd file, std::string path) {
        return {std::move(file), std::move(path)};
    }
    /// Writes, unlocks and closes: a reader that waits for the lock finds all of it. Errors: limit
    /// (disk full), io.
    [[nodiscard]] Status write(const trace::Trace& trace);

  private:
    RecordingFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    [[nodiscard]] Status write_to_end(const trace::Trace& trace);
    UniqueFd fd_;
    std::string path_;
    int notice_ = -1;
};

}  // namespace squenv::daemon
