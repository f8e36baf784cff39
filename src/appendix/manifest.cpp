// SPDX-License-Identifier: MIT
#include "appendix/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_depth.h"

namespace squenv::appendix {

namespace {

using Json = nlohmann::json;

/// A manifest is four deep; members that later versions add may be deeper.
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

const Json& list_of(const Json& object, const char* key) {
    static const Json kEmpty = Json::array();
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : kEmpty;
}

/// The beginning of `text` with at most `room` bytes, without half a character of UTF-8.
std::string beginning_of(const std::string& text, std::size_t& room) {
    std::size_t size = std::min(text.size(), room);
    if (size < text.size())
        while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    room -= size;
    return text.substr(0, size);
}

/// Within kMaxCreationBytes and kMaxCreationItems. Names and digests come before texts.
Creation bounded(const Creation& creation) {
    std::size_t room = kMaxCreationBytes;
    Creation bounded;
    bounded.command = beginning_of(creation.command, room);
    for (const std::string& tool : creation.tools)
        if (bounded.tools.size() < kMaxCreationItems)
            bounded.tools.push_back(beginning_of(tool, room));
    for (const CreationInput& input : creation.inputs)
        if (bounded.inputs.size() < kMaxCreationItems)
            bounded.inputs.push_back(
                {beginning_of(input.name, room), "", beginning_of(input.sha256, room)});
    for (std::size_t i = 0; i < bounded.inputs.size(); ++i)
        bounded.inputs[i].text = beginning_of(creation.inputs[i].text, room);
    return bounded;
}

Json to_json(const Creation& creation) {
    Json json{{"command", creation.command}, {"tools", creation.tools}, {"inputs", Json::array()}};
    for (const CreationInput& input : creation.inputs)
        json["inputs"].push_back(
            {{"name", input.name}, {"text", input.text}, {"sha256", input.sha256}});
    return json;
}

Creation creation_of(const Json& json) {
    Creation creation;
    creation.command = text_of(json, "command");
    for (const Json& tool : list_of(json, "tools"))
        if (tool.is_string()) creation.tools.push_back(tool.get<std::string>());
    for (const Json& input : list_of(json, "inputs"))
        if (input.is_object())
            creation.inputs.push_back(
                {text_of(input, "name"), text_of(input, "text"), text_of(input, "sha256")});
    if (creation.command.empty()) return {};
    return bounded(creation);
}

}  // namespace

std::string encode_manifest(const Manifest& manifest) {
    Json json;
    json["mount_point"] = manifest.mount_point;
    json["tool_version"] = manifest.tool_version;
    json["options"] = {
        {"codec", manifest.codec}, {"level", manifest.level}, {"block_size", manifest.block_size}};
    if (manifest.fits_overlay) json["fits_overlay"] = *manifest.fits_overlay;
    if (!manifest.python_version.empty())
        json["python"] = {{"version", manifest.python_version},
                          {"home", manifest.python_home},
                          {"relocatable", manifest.is_relocatable}};
    if (!manifest.creation.command.empty()) json["created"] = to_json(bounded(manifest.creation));
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
    if (json.contains("fits_overlay")) manifest.fits_overlay = flag_of(json, "fits_overlay");
    manifest.creation = creation_of(member(json, "created"));
    if (manifest.mount_point.find('\0') != std::string::npos ||
        manifest.python_home.find('\0') != std::string::npos)
        return fail(Errc::corrupt, "manifest: a path with a NUL in it");
    return manifest;
}

}  // namespace squenv::appendix
