// SPDX-License-Identifier: MIT
#include "cli/image_name.h"

#include <optional>

#include "base/paths.h"
#include "base/process.h"

namespace squenv::cli {

namespace {

/// A path of a list that is the tag of a label: it would begin with "/" or "." otherwise.
bool is_tag(const std::string& path) {
    return !path.empty() && path.find_first_of("/.~") != 0;
}

/// The label that `listed` may be; nothing for what can only be a path.
std::optional<label::Label> label_in(const ListedImage& listed) {
    if (listed.image.empty() || listed.image.find_first_of("/.~") == 0) return std::nullopt;
    const auto label =
        label::parse_label(is_tag(listed.path) ? listed.image + ':' + listed.path : listed.image);
    return label && !label->name.empty() ? std::optional(*label) : std::nullopt;
}

std::string names_of(const std::vector<label::Repository>& repositories) {
    std::string names;
    for (const auto& repository : repositories)
        names += (names.empty() ? "" : ", ") + repository.path;
    return names;
}

}  // namespace

label::Sources label_sources() {
    label::Sources sources;
    sources.variables = process_variables();
    return sources;
}

Result<label::Record> find_label(const label::Label& label, const label::Settings& settings) {
    const std::string text = label::text_of(label);
    if (settings.repositories.empty())
        return fail(Errc::not_found, text + ": there is no repository of uenvs",
                    "name an image file, or the repository in UENV_REPO_PATH");
    SQUENV_TRY_ASSIGN(
        auto record, label::find_record(settings.repositories, label::for_system(label, settings)));
    if (record) return std::move(*record);
    const bool has_system = label.system.empty() && !settings.system.empty();
    return fail(Errc::not_found,
                text + ": neither a file nor a uenv in " + names_of(settings.repositories) +
                    (has_system ? " for the system " + settings.system : ""),
                has_system ? "write " + text + "@* for any system, or name the image file"
                           : "name the image file, or correct the label");
}

Result<ListedImage> find_image(ListedImage listed, const label::Sources& sources) {
    if (exists(listed.image)) return listed;
    const auto label = label_in(listed);
    if (!label) return listed;
    SQUENV_TRY_ASSIGN(const auto settings, label::load_settings(sources));
    if (settings.repositories.empty()) return listed;
    SQUENV_TRY_ASSIGN(const auto record, find_label(*label, settings));
    listed.image = record.image;
    if (is_tag(listed.path)) listed.path.clear();
    listed.label_name = record.label.name;
    return listed;
}

Result<std::string> image_file(const std::string& name) {
    SQUENV_TRY_ASSIGN(auto listed, find_image({name}));
    return std::move(listed.image);
}

}  // namespace squenv::cli
