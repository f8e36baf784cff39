// SPDX-License-Identifier: MIT
#include "daemon/request.h"

#include <fmt/core.h>

namespace squenv::daemon {

namespace {

/// All options of a request that decide what the mounted tree looks like.
std::string view_of(const Request& request) {
    const auto number = [](const auto& id) { return id ? std::to_string(*id) : std::string("-"); };
    return fmt::format("{} {} {} {} {} {} {} {} {} {}", request.image.offset,
                       request.image.find_offset, number(request.view.uid),
                       number(request.view.gid), number(request.view.umask), request.allow_other,
                       request.allow_root, request.noexec, request.view.subdirectory,
                       request.record_path);
}

}  // namespace

Status open_image(Request& request) {
    if (request.file != nullptr) return {};
    SQUENV_TRY_ASSIGN(request.file, image::ImageFile::open(request.image_path));
    return {};
}

std::string content_identity(const Request& request) {
    const FileIdentity& image = request.file->identity();
    return fmt::format("{} {} {} {} {}", image.device, image.inode, image.size_bytes,
                       image.mtime_ns, view_of(request));
}

share::SharedMount shared_mount(const Request& request, const std::string& mountpoint) {
    return {request.file->identity(), view_of(request), mountpoint};
}

std::string rendezvous_name_of(const Request& request, const std::string& mountpoint) {
    return share::rendezvous_name({shared_mount(request, mountpoint)}, "in place");
}

}  // namespace squenv::daemon
