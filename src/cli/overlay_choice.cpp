// SPDX-License-Identifier: MIT
#include "cli/overlay_choice.h"

#include <charconv>
#include <string>

namespace squenv::cli {

namespace {

/// The first Python that does not ask of each module whether it is a terminal: 3.14.
constexpr int kQuietMajor = 3;
constexpr int kQuietMinor = 14;

/// Whether a Python of `version` ("3.11.2") asks. Without a version there is no Python.
bool is_asking(const std::string& version) {
    int major = 0;
    int minor = 0;
    const char* const end = version.data() + version.size();
    const auto [dot, error] = std::from_chars(version.data(), end, major);
    if (error != std::errc{} || dot == end || *dot != '.') return false;
    if (std::from_chars(dot + 1, end, minor).ec != std::errc{}) return false;
    return major < kQuietMajor || (major == kQuietMajor && minor < kQuietMinor);
}

/// What keeps an overlay from being, or nullptr.
const char* hindrance(const std::optional<appendix::Manifest>& manifest,
                      const daemon::Request& request) {
    if (manifest && manifest->fits_overlay == false)
        return "an overlay would not show all of the image, see fits_overlay in squenv-image(5)";
    if (!request.has_failover) return "with failover=off, 'squenv stats' could not ask the daemon";
    if (!request.record_path.empty()) return "what is recorded are requests to the mount below";
    return nullptr;
}

}  // namespace

Status choose_overlay(const std::optional<appendix::Manifest>& manifest, daemon::Request& request) {
    if (request.overlay == daemon::Overlay::off) return {};
    const char* const reason = hindrance(manifest, request);
    if (request.overlay == daemon::Overlay::on) {
        if (reason == nullptr) return {};
        return fail(Errc::invalid_argument, request.image_path + ": option overlay=on: " + reason,
                    "leave overlay=on out");
    }
    // An overlay checks modes also where invented owners switch that off for the mount.
    const bool has_checks = request.allow_other || !request.view.uid;
    const bool is_useful =
        manifest && manifest->fits_overlay && has_checks && is_asking(manifest->python_version);
    if (reason != nullptr || !is_useful) request.overlay = daemon::Overlay::off;
    return {};
}

}  // namespace squenv::cli
