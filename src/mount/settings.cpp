// SPDX-License-Identifier: MIT
#include "mount/settings.h"

#include <sys/stat.h>

#include "base/log.h"
#include "mount/record_file.h"
#include "mount/stage.h"

namespace squenv::mount {

Status check_settings(const MountRequest& request) {
    if (!request.record_path.empty())
        SQUENV_TRY(RecordFile::check(request.record_path, request.image_path));
    struct stat image {};
    // An image that is not there is told by whoever opens it.
    if (!request.stage_directory.empty() && ::stat(request.image_path.c_str(), &image) == 0)
        SQUENV_TRY(Stage::check(request.stage_directory,
                                static_cast<std::uint64_t>(image.st_size)));
    if (!request.log_destination.empty()) {
        SQUENV_TRY(log::start(request.log_destination, request.log_level));
        log::stop();
    }
    return {};
}

}  // namespace squenv::mount
