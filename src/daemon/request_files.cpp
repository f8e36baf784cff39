// SPDX-License-Identifier: MIT
#include "daemon/request_files.h"

#include <string>

namespace squenv::daemon {

namespace {

Result<log::Destination> open_log(const Request& request) {
    std::string destination = request.log_destination;
    if (destination.empty())
        destination = request.is_foreground || request.trace ? "stderr" : "syslog";
    return log::open(destination, request.log_level);
}

}  // namespace

Result<RequestFiles> RequestFiles::open(const Request& request) {
    RequestFiles files;
    if (!request.record_path.empty()) {
        SQUENV_TRY_ASSIGN(files.recording, RecordingFile::open(request.record_path, *request.file));
    }
    if (!request.stage_directory.empty()) {
        SQUENV_TRY_ASSIGN(auto stage, Stage::open(request.stage_directory));
        files.stage = std::make_unique<Stage>(std::move(stage));
    }
    SQUENV_TRY_ASSIGN(files.log, open_log(request));
    return files;
}

Status RequestFiles::begin(const image::Image& image) {
    if (has_begun_) return {};
    if (recording) SQUENV_TRY(recording->lock());
    const auto status = prepare(image);
    has_begun_ = status.has_value();
    has_failed_ = !status;
    return status;
}

Status RequestFiles::prepare(const image::Image& image) {
    if (stage) SQUENV_TRY(stage->reserve(image.source().size_bytes()));
    // Last: a trace of before is not lost to a mount that cannot be.
    if (recording) SQUENV_TRY(recording->clear());
    return {};
}

std::vector<int> RequestFiles::descriptors() const {
    std::vector<int> all;
    if (recording) all.push_back(recording->descriptor());
    if (stage) all.push_back(stage->descriptor());
    return all;
}

}  // namespace squenv::daemon
