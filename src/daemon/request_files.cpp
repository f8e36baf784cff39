// SPDX-License-Identifier: MIT
#include "daemon/request_files.h"

#include <string>

namespace squenv::daemon {

namespace {

/// The log of a request that names none.
Result<log::Destination> open_default_log(const Request& request) {
    return log::open(request.is_foreground || request.trace ? "stderr" : "syslog",
                     request.log_level);
}

}  // namespace

Result<RequestFiles> RequestFiles::open(const Request& request) {
    RequestFiles files;
    if (!request.record_path.empty()) {
        SQUENV_TRY_ASSIGN(files.recording, RecordingFile::open(request.record_path, *request.file));
        files.recording->report_to(request.recording_notice);
    }
    if (!request.stage_directory.empty()) {
        SQUENV_TRY_ASSIGN(auto stage, Stage::open(request.stage_directory));
        files.stage = std::make_unique<Stage>(std::move(stage));
    }
    if (!request.log_destination.empty()) {
        SQUENV_TRY_ASSIGN(files.log, log::open(request.log_destination, request.log_level));
    }
    return files;
}

Result<RequestFiles> RequestFiles::adopt(const Request& request, Begun begun) {
    RequestFiles files;
    files.has_begun_ = true;
    if (begun.recording) {
        files.recording = RecordingFile::adopt(std::move(begun.recording), request.record_path);
        files.recording->report_to(request.recording_notice);
    }
    if (begun.stage) {
        SQUENV_TRY_ASSIGN(auto stage,
                          Stage::adopt(std::move(begun.stage), std::move(begun.stage_flag),
                                       request.stage_directory));
        files.stage = std::make_unique<Stage>(std::move(stage));
    }
    if (begun.log) {
        files.log = log::adopt(std::move(begun.log), request.log_level);
    } else if (request.log_destination.empty()) {
        SQUENV_TRY_ASSIGN(files.log, open_default_log(request));
    } else {
        SQUENV_TRY_ASSIGN(files.log, log::open(request.log_destination, request.log_level));
    }
    return files;
}

Status RequestFiles::begin(const Request& request, const image::Image& image) {
    if (has_begun_) return {};
    if (recording) SQUENV_TRY(recording->lock());
    const auto status = prepare(request, image);
    has_begun_ = status.has_value();
    has_failed_ = !status;
    return status;
}

Status RequestFiles::prepare(const Request& request, const image::Image& image) {
    if (request.log_destination.empty()) {
        SQUENV_TRY_ASSIGN(log, open_default_log(request));
    }
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
