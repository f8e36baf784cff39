// SPDX-License-Identifier: MIT
#include "cli/session_views.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "base/environment.h"
#include "base/process.h"
#include "cli/manifest.h"
#include "system/mount_table.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

/// Why the views of an image cannot be used, or "".
std::string reason_against(const ListedRequest& image) {
    const std::string& path = image.wanted.request.mountpoint;
    if (image.metadata_error) return image.metadata_error->message();
    if (!image.metadata || is_same_place(path, image.metadata->mount)) return {};
    return "its views are made for " + image.metadata->mount + ", not for " + path;
}

/// "img: views not used: reason".
std::string refusal(const ListedRequest& image, const std::string& reason) {
    return image.image + ": views cannot be used: " + reason;
}

std::vector<std::string> split_at(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        if (!part.empty()) parts.push_back(part);
    return parts;
}

void append(std::string& list, const std::string& item) {
    list += (list.empty() ? "" : ",") + item;
}

/// An image that cannot use its views is an error only when one of them is asked for.
Status check_asked(const std::vector<ListedRequest>& images, const std::vector<std::string>& names,
                   const std::vector<view::ViewName>& asked) {
    for (std::size_t i = 0; i < images.size(); ++i) {
        const std::string reason = reason_against(images[i]);
        if (reason.empty()) continue;
        const bool is_asked = std::any_of(asked.begin(), asked.end(), [&](const auto& name) {
            if (!name.uenv.empty()) return name.uenv == names[i];
            return !images[i].metadata || images[i].metadata->views.contains(name.view);
        });
        if (is_asked)
            return fail(images[i].metadata ? Errc::invalid_argument : Errc::corrupt,
                        refusal(images[i], reason),
                        images[i].metadata ? "leave the path out, or leave --view out"
                                           : "leave --view out, or mend that file");
    }
    return {};
}

}  // namespace

void ViewOptions::declare(Options options, const char* name) {
    options.add(name, views, "Views of the uenvs: VIEW or UENV:VIEW")
        .type_name("VIEW,...")
        .one_value_each();
    options.add_flag("--no-default-view", no_default_view, "Only the views of --view");
}

Result<SessionViews> session_views(const std::vector<ListedRequest>& images,
                                   const ViewOptions& options) {
    std::vector<view::ViewName> asked;
    for (const std::string& text : options.views) {
        SQUENV_TRY_ASSIGN(const auto names, view::parse_view_list(text));
        asked.insert(asked.end(), names.begin(), names.end());
    }
    SessionViews session;
    std::vector<std::string> names;
    for (const ListedRequest& image : images)
        names.push_back(!image.label_name.empty() ? image.label_name
                        : image.metadata          ? image.metadata->name
                                                  : "");
    SQUENV_TRY_ASSIGN(session.names, view::session_names(std::move(names)));
    SQUENV_TRY(check_asked(images, session.names, asked));
    std::vector<view::SessionUenv> uenvs;
    for (std::size_t i = 0; i < images.size(); ++i) {
        uenvs.push_back({session.names[i], nullptr});
        const std::string reason = reason_against(images[i]);
        session.has_uenv = session.has_uenv || images[i].metadata || !images[i].label_name.empty();
        if (reason.empty() && images[i].metadata) uenvs.back().metadata = &*images[i].metadata;
        const bool has_none = images[i].metadata && images[i].metadata->views.empty();
        if (!reason.empty() && !has_none) session.notes.push_back(refusal(images[i], reason));
    }
    SQUENV_TRY_ASSIGN(session.chosen, view::choose_views(uenvs, asked, !options.no_default_view));
    session.patch = view::patch_of(uenvs, session.chosen);
    for (const view::ChosenView& chosen : session.chosen) {
        const view::Metadata& metadata = *uenvs[chosen.uenv].metadata;
        if (metadata.views.at(chosen.view).has_script_only)
            session.notes.push_back(images[chosen.uenv].image + ": view '" + chosen.view +
                                    "' has only a script, which is not run, and sets nothing");
        for (const std::string& note : metadata.notes)
            if (note.starts_with("views." + chosen.view + '.'))
                session.notes.push_back(images[chosen.uenv].image + ": env.json: " + note);
    }
    return session;
}

Result<view::Applied> session_variables(const std::vector<ListedRequest>& images,
                                        const std::vector<std::string>& roots,
                                        const SessionViews& views, view::Variables before) {
    SQUENV_TRY_ASSIGN(auto applied, view::apply_patch(views.patch, std::move(before)));
    view::Variables& variables = applied.variables;
    for (std::size_t i = images.size(); i-- > 0;) {
        if (images[i].kind == venv::EnvironmentKind::none) continue;
        const auto path = variables.find("PATH");
        const std::string search = path != variables.end() ? path->second : search_path();
        venv::apply(venv::activation(roots[i], search, images[i].kind), variables);
    }
    return applied;
}

void set_process_variables(const view::Variables& after) {
    const view::Variables before = process_variables();
    for (const auto& [name, value] : before)
        if (!after.contains(name)) ::unsetenv(name.c_str());
    for (const auto& [name, value] : after) {
        const auto found = before.find(name);
        if (found == before.end() || found->second != value)
            ::setenv(name.c_str(), value.c_str(), 1);
    }
}

UenvSession uenv_session(const std::vector<std::string>& image_paths,
                         const std::vector<std::string>& roots, const SessionViews& views) {
    UenvSession session;
    for (std::size_t i = 0; i < roots.size(); ++i)
        append(session.mounts, image_paths[i] + ':' + roots[i]);
    for (const view::ChosenView& chosen : views.chosen)
        append(session.views,
               roots[chosen.uenv] + ':' + views.names[chosen.uenv] + ':' + chosen.view);
    return session;
}

UenvSession present_session() {
    UenvSession session;
    std::vector<std::string> mountpoints;
    for (const std::string& item : split_at(environment_variable("UENV_MOUNT_LIST"), ',')) {
        const std::string mountpoint = item.substr(item.rfind(':') + 1);
        // An unpacked image is there as a link.
        std::error_code error;
        if (!system::is_mountpoint(mountpoint) && !std::filesystem::is_symlink(mountpoint, error))
            continue;
        append(session.mounts, item);
        mountpoints.push_back(mountpoint);
    }
    for (const std::string& item : split_at(environment_variable("UENV_VIEW"), ','))
        if (std::find(mountpoints.begin(), mountpoints.end(), item.substr(0, item.find(':'))) !=
            mountpoints.end())
            append(session.views, item);
    return session;
}

}  // namespace squenv::cli
