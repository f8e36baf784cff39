// SPDX-License-Identifier: MIT
#include "daemon/handover.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_io.h"

namespace squenv::daemon {

namespace {

using nlohmann::json;

/// The descriptors of the message: these two, then those that the description names in order.
constexpr std::size_t kWatch = 0;
constexpr std::size_t kDescription = 1;
constexpr std::size_t kFirstNamed = 2;

tl::unexpected<Error> other_layout() {
    return fail(Errc::unsupported,
                "this program and the one that mounted keep requests in different ways",
                "unmount, and mount again");
}

template <class Value>
json optional_json(const std::optional<Value>& value) {
    return value ? json(*value) : json();
}

template <class Value>
void take(const json& object, const char* name, std::optional<Value>& value) {
    if (const auto& member = object.at(name); !member.is_null()) value = member.get<Value>();
}

json view_json(const fuse::ViewOptions& view) {
    return {{"subdirectory", view.subdirectory},    {"uid", optional_json(view.uid)},
            {"gid", optional_json(view.gid)},       {"umask", optional_json(view.umask)},
            {"reader", optional_json(view.reader)}, {"root_owner", optional_json(view.root_owner)}};
}

fuse::ViewOptions view_of(const json& object) {
    fuse::ViewOptions view;
    object.at("subdirectory").get_to(view.subdirectory);
    take(object, "uid", view.uid);
    take(object, "gid", view.gid);
    take(object, "umask", view.umask);
    take(object, "reader", view.reader);
    take(object, "root_owner", view.root_owner);
    return view;
}

json identity_json(const FileIdentity& identity) {
    return {identity.device, identity.inode, identity.size_bytes, identity.mtime_ns};
}

json request_json(const Request& request) {
    return {{"image_path", request.image_path},
            {"identity", identity_json(request.file->identity())},
            {"offset", request.image.offset},
            {"find_offset", request.image.find_offset},
            {"cache_bytes", request.image.cache_bytes},
            {"threads", request.threads},
            {"allow_other", request.allow_other},
            {"allow_root", request.allow_root},
            {"is_foreground", request.is_foreground},
            {"prefetch", static_cast<int>(request.prefetch)},
            {"stage_directory", request.stage_directory},
            {"record_path", request.record_path},
            {"log_destination", request.log_destination},
            {"log_level", static_cast<int>(request.log_level)}};
}

Request request_of(const json& object) {
    Request request;
    object.at("image_path").get_to(request.image_path);
    object.at("offset").get_to(request.image.offset);
    object.at("find_offset").get_to(request.image.find_offset);
    object.at("cache_bytes").get_to(request.image.cache_bytes);
    object.at("threads").get_to(request.threads);
    object.at("allow_other").get_to(request.allow_other);
    object.at("allow_root").get_to(request.allow_root);
    object.at("is_foreground").get_to(request.is_foreground);
    request.prefetch = static_cast<Prefetch>(object.at("prefetch").get<int>());
    object.at("stage_directory").get_to(request.stage_directory);
    object.at("record_path").get_to(request.record_path);
    object.at("log_destination").get_to(request.log_destination);
    request.log_level = static_cast<log::Level>(object.at("log_level").get<int>());
    return request;
}

json opened_json(const Opened& opened) {
    return {{"view", view_json(opened.view)},      {"image_name", opened.image_name},
            {"identity", opened.identity},         {"mountpoint", opened.mountpoint},
            {"device_minor", opened.device_minor}, {"is_in_namespace", opened.is_in_namespace}};
}

Opened opened_of(const json& object) {
    Opened opened;
    opened.view = view_of(object.at("view"));
    object.at("image_name").get_to(opened.image_name);
    object.at("identity").get_to(opened.identity);
    object.at("mountpoint").get_to(opened.mountpoint);
    object.at("device_minor").get_to(opened.device_minor);
    object.at("is_in_namespace").get_to(opened.is_in_namespace);
    return opened;
}

/// By name, those that there are.
std::map<std::string, int> named_descriptors(const Request& request, const RequestFiles& files,
                                             const Opened& opened, const ServerMemory& memory) {
    std::map<std::string, int> named{{"device", opened.device.get()},
                                     {"image", request.file->descriptor()},
                                     {"session", descriptor_of(memory.session)}};
    if (memory.recorder) named["recorder"] = descriptor_of(memory.recorder);
    if (files.recording) named["recording"] = files.recording->descriptor();
    if (request.recording_notice >= 0) named["notice"] = request.recording_notice;
    if (files.stage) {
        named["stage"] = files.stage->descriptor();
        named["stage_flag"] = files.stage->flag_descriptor();
    }
    if (files.log.descriptor() >= 0) named["log"] = files.log.descriptor();
    return named;
}

/// In the form of CBOR, which takes paths as the bytes that they are. Several of them are too long
/// for a message.
Result<UniqueFd> written(const json& description) {
    UniqueFd file(::memfd_create("squenv-handover", MFD_CLOEXEC));
    if (!file) return fail_errno(errno, "memfd_create");
    std::string bytes;
    json::to_cbor(description, nlohmann::detail::output_adapter<char>(bytes));
    SQUENV_TRY(write_at(file.get(), as_bytes(bytes), 0));
    return file;
}

Result<ServerMemory> map_memory(std::map<std::string, UniqueFd>& named) {
    ServerMemory memory;
    auto session = map_passed_object<fuse::SessionMemory>(std::move(named["session"]));
    if (!session || (*session)->layout != fuse::kMemoryLayout) return other_layout();
    memory.session = std::move(*session);
    if (const auto found = named.find("recorder"); found != named.end()) {
        auto recorder = map_passed_object<fuse::RecorderMemory>(std::move(found->second));
        if (!recorder) return other_layout();
        memory.recorder = std::move(*recorder);
    }
    return memory;
}

Result<Handover> handover_of(const json& description, std::map<std::string, UniqueFd> named) {
    Handover handover;
    handover.request = request_of(description.at("request"));
    handover.opened = opened_of(description.at("opened"));
    handover.notice = std::move(named["notice"]);
    handover.request.recording_notice = handover.notice.get();
    SQUENV_TRY_ASSIGN(handover.memory, map_memory(named));
    SQUENV_TRY_ASSIGN(
        handover.files,
        RequestFiles::adopt(handover.request,
                            {std::move(named["recording"]), std::move(named["stage"]),
                             std::move(named["stage_flag"]), std::move(named["log"])}));
    const std::string& path = handover.request.image_path;
    SQUENV_TRY_ASSIGN(handover.request.file,
                      image::ImageFile::adopt(std::move(named["image"]), path));
    if (identity_json(handover.request.file->identity()) !=
        description.at("request").at("identity"))
        return fail(Errc::invalid_argument, path + ": was changed since it was mounted",
                    "unmount, and mount again");
    handover.opened.device = std::move(named["device"]);
    return handover;
}

}  // namespace

Status send_handover(ServerProcess& program, const Request& request, const RequestFiles& files,
                     const Opened& opened, const ServerMemory& memory) {
    json names = json::array();
    std::vector<int> descriptors{program.watch_descriptor(), -1};
    for (const auto& [name, descriptor] : named_descriptors(request, files, opened, memory)) {
        if (descriptor < 0)
            return fail(Errc::unsupported, "this system has no memory that can be passed on",
                        "unmount, and mount again");
        names.push_back(name);
        descriptors.push_back(descriptor);
    }
    SQUENV_TRY_ASSIGN(const auto description, written({{"request", request_json(request)},
                                                       {"opened", opened_json(opened)},
                                                       {"number", program.number()},
                                                       {"descriptors", names}}));
    descriptors[kDescription] = description.get();
    return program.send(Order::prepare, std::to_string(kHandoverForm), descriptors);
}

Result<DeathWatch> take_death_watch(SocketMessage& message) {
    const std::string expected = static_cast<char>(Order::prepare) + std::to_string(kHandoverForm);
    if (message.bytes != expected || message.descriptors.size() < kFirstNamed)
        return other_layout();
    auto watch = DeathWatch::adopt(std::move(message.descriptors[kWatch]));
    if (!watch) return other_layout();
    return watch;
}

Result<Handover> take_handover(SocketMessage& message) {
    SQUENV_TRY_ASSIGN(const auto bytes, read_to_end(message.descriptors[kDescription].get()));
    try {
        const json description = json::from_cbor(bytes);
        const auto names = description.at("descriptors").get<std::vector<std::string>>();
        if (names.size() != message.descriptors.size() - kFirstNamed) return other_layout();
        std::map<std::string, UniqueFd> named;
        for (std::size_t i = 0; i < names.size(); ++i)
            named[names[i]] = std::move(message.descriptors[kFirstNamed + i]);
        SQUENV_TRY_ASSIGN(auto handover, handover_of(description, std::move(named)));
        description.at("number").get_to(handover.number);
        return handover;
    } catch (const json::exception&) {
        return other_layout();  // a member is missing
    }
}

}  // namespace squenv::daemon
