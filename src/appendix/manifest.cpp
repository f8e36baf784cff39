// SPDX-License-Identifier: MIT
#include "appendix/manifest.h"

#include <nlohmann/json.hpp>

#include "base/json_depth.h"

namespace squenv::appendix {

namespace {

using Json = nlohmann::json;

/// A manifest is two deep; members that later versions add may be deeper.
constexpr int kMaxDepth = 32;

std::string text_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

bool flag_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

const Json& member(const Json& object, const char* key) {
    static const Json kEmpty = Json::object();
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : kEmpty;
}

}  // namespace

std::string encode_manifest(const Manifest& manifest) {
    Json json;
    json["mount_point"] = manifest.mount_point;
    json["tool_version"] = manifest.tool_version;
    json["options"] = {
        {"codec", manifest.codec}, {"level", manifest.level}, {"block_size", manifest.block_size}};
    if (!manifest.python_version.empty())
        json["python"] = {{"version", manifest.python_version},
                          {"home", manifest.python_home},
                          {"relocatable", manifest.is_relocatable}};
    // Paths that are not UTF-8 are kept readable instead of making the packer fail.
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

Result<Manifest> parse_manifest(std::string_view text) {
    if (!is_shallow(text, kMaxDepth)) return fail(Errc::corrupt, "manifest: nested too deeply");
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) return fail(Errc::corrupt, "manifest: not a JSON object");
    Manifest manifest;
    manifest.mount_point = text_of(json, "mount_point");
    manifest.tool_version = text_of(json, "tool_version");
    const Json& options = member(json, "options");
    manifest.codec = text_of(options, "codec");
    manifest.level = static_cast<int>(number_of(options, "level"));
    manifest.block_size = static_cast<std::uint32_t>(number_of(options, "block_size"));
    const Json& python = member(json, "python");
    manifest.python_version = text_of(python, "version");
    manifest.python_home = text_of(python, "home");
    manifest.is_relocatable = flag_of(python, "relocatable");
    if (manifest.mount_point.find('\0') != std::string::npos ||
        manifest.python_home.find('\0') != std::string::npos)
        return fail(Errc::corrupt, "manifest: a path with a NUL in it");
    return manifest;
}

}  // namespace squenv::appendix
