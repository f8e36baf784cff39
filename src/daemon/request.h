// SPDX-License-Identifier: MIT
// Everything that a user can request of a mount.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "fuse/file_system.h"
#include "image/image.h"
#include "mount/kernel_mount.h"
#include "share/rendezvous.h"

namespace squenv::daemon {

/// The work that the daemon does ahead of requests.
enum class Prefetch {
    off,
    automatic,  ///< pages are stored only where a killed daemon's connection can be ended
    on,
};

/// Whether a read-only overlay is put above a mount in a namespace, see mount/overlay.h.
enum class Overlay {
    off,
    automatic,  ///< where it helps, nothing is lost, and the machine permits it
    on,         ///< or the mount fails
};

struct Request {
    std::string image_path;
    std::shared_ptr<const image::ImageFile> file{};  ///< empty until open_image()
    std::string mountpoint;                          ///< as the user wrote it
    image::OpenOptions image{};
    fuse::ViewOptions view{};
    std::string subtype = "squenv";
    std::string source_name{};  ///< shown as the device; "" is the image's path
    mount::Method method = mount::Method::automatic;
    bool allow_other = false;
    bool allow_root = false;
    bool noexec = false;  ///< no program in it may be executed
    bool is_foreground = false;
    bool trace = false;    ///< print every request on stderr; implies the foreground
    unsigned threads = 0;  ///< 0: by the number of processors
    std::chrono::seconds idle_timeout{0};     ///< 0: never
    bool has_failover = true;                 ///< see Failover; not for a trace on stderr
    Prefetch prefetch = Prefetch::automatic;  ///< off while recording
    Overlay overlay = Overlay::automatic;     ///< of no effect on a mount in place
    std::string stage_directory{};            ///< for a copy of the image to read from; "" is none
    std::string record_path{};      ///< a file for the trace, written at the end; "" is none
    int recording_notice = -1;      ///< a socket for the error of writing it; -1 is none
    std::string log_destination{};  ///< "" is stderr in the foreground, else syslog
    log::Level log_level = log::Level::warning;
    std::string notify_pipe{};  ///< a fifo that receives "s" when mounted, "f" when it failed
};

/// Opens the image file of `request`, once: the file that identifies the image is the file served
/// later. Errors: those of ImageFile::open().
[[nodiscard]] Status open_image(Request& request);

/// The identity of a request whose image is open. Equal for two requests only when both show the
/// same bytes in the same way.
[[nodiscard]] std::string content_identity(const Request& request);

/// The mount of a request whose image is open, at `mountpoint` (canonical), as its members agree on
/// it.
[[nodiscard]] share::SharedMount shared_mount(const Request& request,
                                              const std::string& mountpoint);
/// The name under which that mount is shared, when it is made in place.
[[nodiscard]] std::string rendezvous_name_of(const Request& request, const std::string& mountpoint);

}  // namespace squenv::daemon
