// SPDX-License-Identifier: MIT
#include "view/metadata.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_depth.h"
#include "view/variable.h"

namespace squenv::view {

namespace {

using Json = nlohmann::json;

/// A view is seven deep; members that later versions add may be deeper.
constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxNotes = 20;

tl::unexpected<Error> wrong(const std::string& field, const std::string& reason) {
    return fail(Errc::corrupt, field + ": " + reason);
}

/// A string without NUL, which no variable and no path can hold.
Result<std::string> text_in(const Json& value, const std::string& field) {
    if (!value.is_string()) return wrong(field, "not a string");
    auto text = value.get<std::string>();
    if (text.find('\0') != std::string::npos) return wrong(field, "has a NUL in it");
    return text;
}

/// The string `key` of `object`, or `otherwise` when it is missing or null.
Result<std::string> optional_text(const Json& object, const char* key, const std::string& prefix,
                                  std::string otherwise) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return otherwise;
    return text_in(*found, prefix + key);
}

/// The object `key` of `object`; nullptr when it is missing or null.
Result<const Json*> optional_object(const Json& object, const char* key,
                                    const std::string& prefix) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return nullptr;
    if (!found->is_object()) return wrong(prefix + key, "not an object");
    return &*found;
}

class Reader {
  public:
    Result<Metadata> read(const Json& json);

  private:
    void note(const std::string& field, const std::string& reason) {
        if (metadata_.notes.size() < kMaxNotes) metadata_.notes.push_back(field + ": " + reason);
    }
    Status read_view(const std::string& name, const Json& json);
    Status read_values(const Json& values, const std::string& field, Patch& patch);
    Status read_list(const std::string& name, const Json& updates, const std::string& field,
                     Patch& patch);
    bool has_name(const std::string& name, const std::string& field) {
        if (is_variable_name(name)) return true;
        note(field, "no name of a variable, passed over");
        return false;
    }

    Metadata metadata_;
};

ListUpdate::Kind kind_of(const Json& op) {
    if (op == "set") return ListUpdate::Kind::set;
    if (op == "prepend") return ListUpdate::Kind::prepend;
    if (op == "append") return ListUpdate::Kind::append;
    return ListUpdate::Kind::unset;  // as uenv reads every other word
}

Status Reader::read_list(const std::string& name, const Json& updates, const std::string& field,
                         Patch& patch) {
    std::size_t index = 0;
    for (const Json& update : updates) {
        const std::string place = field + '[' + std::to_string(index++) + ']';
        if (!update.is_object() || !update.contains("op")) {
            note(place, "has no \"op\", passed over");
            continue;
        }
        const auto kind = kind_of(update["op"]);
        const bool needs_value = kind != ListUpdate::Kind::unset;
        if (needs_value && !update.contains("value")) {
            note(place, "has no \"value\", passed over");
            continue;
        }
        const Json value = update.value("value", Json::array());
        if (!value.is_array()) {
            note(place + ".value", "not an array, passed over");
            continue;
        }
        ListUpdate read{kind, {}};
        for (std::size_t i = 0; i < value.size(); ++i) {
            SQUENV_TRY_ASSIGN(auto text,
                              text_in(value[i], place + ".value[" + std::to_string(i) + ']'));
            read.values.push_back(std::move(text));
        }
        patch.lists[name].push_back(std::move(read));
    }
    return {};
}

/// Lists first: a scalar of the same name replaces them.
Status Reader::read_values(const Json& values, const std::string& field, Patch& patch) {
    if (const auto list = values.find("list"); list != values.end() && list->is_object())
        for (const auto& [name, updates] : list->items()) {
            const std::string place = field + ".list." + name;
            if (has_name(name, place)) SQUENV_TRY(read_list(name, updates, place, patch));
        }
    const auto scalar = values.find("scalar");
    if (scalar == values.end() || !scalar->is_object()) return {};
    for (const auto& [name, value] : scalar->items()) {
        const std::string place = field + ".scalar." + name;
        if (!has_name(name, place)) continue;
        if (!value.is_null() && !value.is_string()) {
            note(place, "neither a string nor null, passed over");
            continue;
        }
        std::optional<std::string> text;
        if (value.is_string()) {
            SQUENV_TRY_ASSIGN(text, text_in(value, place));
        }
        patch.lists.erase(name);
        patch.scalars[name] = std::move(text);
    }
    return {};
}

Status Reader::read_view(const std::string& name, const Json& json) {
    const std::string field = "views." + name + '.';
    if (name.empty() || name.find('\0') != std::string::npos)
        return wrong("views", "a view has no usable name");
    View& view = metadata_.views[name];
    if (!json.is_object() || !json.contains("env")) {
        view.has_script_only = true;
        if (!json.is_object()) return {};
    }
    SQUENV_TRY_ASSIGN(view.description, optional_text(json, "description", field, ""));
    SQUENV_TRY_ASSIGN(const Json* env, optional_object(json, "env", field));
    if (env == nullptr) return {};
    SQUENV_TRY_ASSIGN(const Json* values, optional_object(*env, "values", field + "env."));
    if (values == nullptr) return {};
    return read_values(*values, field + "env.values", view.patch);
}

Result<Metadata> Reader::read(const Json& json) {
    SQUENV_TRY_ASSIGN(metadata_.name, optional_text(json, "name", "", "unnamed"));
    SQUENV_TRY_ASSIGN(metadata_.description, optional_text(json, "description", "", ""));
    if (!json.contains("mount")) return wrong("mount", "is missing");
    SQUENV_TRY_ASSIGN(metadata_.mount, text_in(json["mount"], "mount"));
    if (!metadata_.mount.starts_with('/')) return wrong("mount", "is no absolute path");
    SQUENV_TRY_ASSIGN(metadata_.default_view, optional_text(json, "default-view", "", ""));
    const auto views = json.find("views");
    if (views != json.end() && !views->is_object()) note("views", "no object, passed over");
    if (views != json.end() && views->is_object())
        for (const auto& [name, view] : views->items()) SQUENV_TRY(read_view(name, view));
    return std::move(metadata_);
}

}  // namespace

void Patch::merge(const Patch& later) {
    for (const auto& [name, value] : later.scalars) scalars[name] = value;
    for (const auto& [name, updates] : later.lists)
        lists[name].insert(lists[name].end(), updates.begin(), updates.end());
}

std::vector<std::string> Patch::names() const {
    std::map<std::string, bool> all;
    for (const auto& [name, value] : scalars) all[name] = true;
    for (const auto& [name, updates] : lists) all[name] = true;
    std::vector<std::string> sorted;
    for (const auto& [name, is_there] : all)
        if (is_variable_name(name)) sorted.push_back(name);
    return sorted;
}

Result<Metadata> parse_metadata(std::string_view text) {
    if (text.size() > kMaxMetadata) return fail(Errc::corrupt, "longer than 1 MiB");
    if (!is_shallow(text, kMaxDepth)) return fail(Errc::corrupt, "nested too deeply");
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) return fail(Errc::corrupt, "not a JSON object");
    return Reader().read(json);
}

}  // namespace squenv::view
