// SPDX-License-Identifier: MIT
// The file a mount records into.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image_file.h"
#include "trace/trace.h"

namespace squenv::daemon {

/// Opened, emptied and locked while the mount is made, because the daemon may open nothing later;
/// written when the mount is gone. A temporary file and a rename are denied to it as well, so what
/// is there in between is an empty file, and a trace without its last line is no trace.
/// Not thread-safe.
class RecordingFile {
  public:
    /// Makes or empties the file at `path`. Errors: busy (another mount records into it),
    /// invalid_argument (it is `image`), denied, and others of opening.
    [[nodiscard]] static Result<RecordingFile> open(const std::string& path,
                                                    const image::ImageFile& image);
    /// Whether it could be opened, whoever has it locked. Makes it, but does not empty it.
    [[nodiscard]] static Status check(const std::string& path, const image::ImageFile& image);
    /// Writes and closes; whoever waits for the lock can read then. Errors: limit (disk full), io.
    [[nodiscard]] Status write(const trace::Trace& trace);

  private:
    RecordingFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    UniqueFd fd_;
    std::string path_;
};

}  // namespace squenv::daemon
