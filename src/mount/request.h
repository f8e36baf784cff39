// SPDX-License-Identifier: MIT
// Everything a user can ask of a mount.
#pragma once

#include <chrono>
#include <string>

#include "base/log.h"
#include "fuse/file_system.h"
#include "image/image.h"
#include "mount/kernel_mount.h"

namespace squenv::mount {

/// What is done ahead of the users of a mount.
enum class Prefetch {
    off,
    automatic,  ///< pages are stored only where a killed daemon's connection can be ended
    on,
};

struct MountRequest {
    std::string image_path;
    std::string mountpoint;  ///< as the user wrote it
    image::OpenOptions image{};
    fuse::ViewOptions view{};
    std::string subtype = "squenv";
    std::string source_name{};   ///< shown as the device; "" is the image's path
    Method method = Method::automatic;
    bool allow_other = false;
    bool allow_root = false;
    bool noexec = false;         ///< no program in it may be executed
    bool is_foreground = false;
    bool trace = false;          ///< print every request on stderr; implies the foreground
    unsigned threads = 0;        ///< 0: by the number of processors
    std::chrono::seconds idle_timeout{0};  ///< 0: never
    Prefetch prefetch = Prefetch::automatic;  ///< off while recording
    std::string stage_directory{};  ///< gets a copy of the image to read from; "" is none
    std::string record_path{};   ///< a file that gets the trace when the mount is gone; "" is none
    std::string log_destination{};         ///< "" is stderr in the foreground, else syslog
    log::Level log_level = log::Level::warning;
    std::string notify_pipe{};   ///< a fifo that gets "s" when mounted, "f" when it failed
};

}  // namespace squenv::mount
