// SPDX-License-Identifier: MIT
#include "daemon/settings.h"

#include "base/log.h"
#include "daemon/recording_file.h"
#include "daemon/stage.h"

namespace squenv::daemon {

Status check_settings(const Request& request) {
    if (!request.record_path.empty())
        SQUENV_TRY(RecordingFile::check(request.record_path, *request.file));
    if (!request.stage_directory.empty())
        SQUENV_TRY(Stage::check(request.stage_directory, request.file->size_bytes()));
    if (!request.log_destination.empty()) {
        SQUENV_TRY(log::start(request.log_destination, request.log_level));
        log::stop();
    }
    return {};
}

}  // namespace squenv::daemon
