// SPDX-License-Identifier: MIT
// The file that receives the recording of a mount.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image_file.h"
#include "trace/trace.h"

namespace squenv::daemon {

/// Opened, emptied and locked while the mount is made, because the daemon may open nothing later;
/// written when the mount is gone. The daemon cannot use a temporary file and a rename either. So
/// the file is empty in between, and a trace without its last line is invalid. Not thread-safe.
class RecordingFile {
  public:
    /// Creates or empties the file at `path`. Errors: busy (another mount records into it),
    /// invalid_argument (it is `image`), denied, and others of opening.
    [[nodiscard]] static Result<RecordingFile> open(const std::string& path,
                                                    const image::ImageFile& image);
    /// Whether the file can be opened, with or without its lock. Creates it, but does not empty it.
    [[nodiscard]] static Status check(const std::string& path, const image::ImageFile& image);
    /// Writes and closes; a process that waits for the lock can then read. Errors: limit (disk
    /// full), io.
    [[nodiscard]] Status write(const trace::Trace& trace);

  private:
    RecordingFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    UniqueFd fd_;
    std::string path_;
};

}  // namespace squenv::daemon
