// SPDX-License-Identifier: MIT
#include "view/choice.h"

#include <algorithm>
#include <set>

namespace squenv::view {

namespace {

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

/// "gnu:default, gnu:spack": every view, or those called `view` unless that is "".
std::string names_of_views(const std::vector<SessionUenv>& uenvs, const std::string& view) {
    std::string names;
    for (const SessionUenv& uenv : uenvs) {
        if (uenv.metadata == nullptr) continue;
        for (const auto& [name, ignored] : uenv.metadata->views)
            if (view.empty() || name == view)
                names += (names.empty() ? "" : ", ") + uenv.name + ':' + name;
    }
    return names;
}

bool has_view(const SessionUenv& uenv, const std::string& view) {
    return uenv.metadata != nullptr && uenv.metadata->views.contains(view);
}

Result<ChosenView> find_view(const std::vector<SessionUenv>& uenvs, const ViewName& name) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < uenvs.size(); ++i)
        if (has_view(uenvs[i], name.view) && (name.uenv.empty() || uenvs[i].name == name.uenv))
            found.push_back(i);
    const std::string written = (name.uenv.empty() ? "" : name.uenv + ':') + name.view;
    if (found.size() == 1) return ChosenView{found.front(), name.view};
    if (found.size() > 1)
        return fail(Errc::invalid_argument, "view '" + written + "': several uenvs have one",
                    "name one of " + names_of_views(uenvs, name.view));
    const std::string all = names_of_views(uenvs, "");
    return fail(Errc::invalid_argument, "view '" + written + "' does not exist",
                all.empty() ? "leave --view out: no image has views" : "there are " + all);
}

}  // namespace

Result<std::vector<ViewName>> parse_view_list(std::string_view text) {
    std::vector<ViewName> names;
    text = trimmed(text);
    if (text.ends_with(',')) text.remove_suffix(1);
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view part = trimmed(text.substr(begin, end - begin));
        const std::size_t colon = part.find(':');
        ViewName name;
        if (colon != std::string_view::npos) name.uenv = part.substr(0, colon);
        name.view = part.substr(colon == std::string_view::npos ? 0 : colon + 1);
        if (name.view.empty() || name.view.find(':') != std::string::npos || colon == 0)
            return fail(Errc::invalid_argument, "'" + std::string(part) + "' is no name of a view",
                        "write VIEW or UENV:VIEW, with commas between several");
        names.push_back(std::move(name));
        begin = end + 1;
    }
    return names;
}

Result<std::vector<std::string>> session_names(std::vector<std::string> names) {
    std::set<std::string> used;
    for (const std::string& name : names)
        if (!name.empty() && !used.insert(name).second)
            return fail(Errc::invalid_argument, "two uenvs are called '" + name + "'",
                        "use one of them, or run one inside of the other");
    std::size_t number = 0;
    for (std::string& name : names) {
        if (!name.empty()) continue;
        name = "anonymous";
        while (!used.insert(name).second) name = "anonymous" + std::to_string(number++);
    }
    return names;
}

Result<std::vector<ChosenView>> choose_views(const std::vector<SessionUenv>& uenvs,
                                             const std::vector<ViewName>& asked,
                                             bool use_defaults) {
    std::vector<ChosenView> chosen;
    std::set<std::size_t> named;
    for (const ViewName& name : asked) {
        SQUENV_TRY_ASSIGN(auto view, find_view(uenvs, name));
        named.insert(view.uenv);
        chosen.push_back(std::move(view));
    }
    for (std::size_t i = 0; use_defaults && i < uenvs.size(); ++i) {
        if (uenvs[i].metadata == nullptr || named.contains(i)) continue;
        const std::string& view = uenvs[i].metadata->default_view;
        if (view.empty()) continue;
        if (!has_view(uenvs[i], view))
            return fail(Errc::corrupt,
                        uenvs[i].name + ": default-view: there is no view '" + view + "'",
                        "name a view with --view, or use --no-default-view");
        chosen.push_back({i, view});
    }
    return chosen;
}

Patch patch_of(const std::vector<SessionUenv>& uenvs, const std::vector<ChosenView>& chosen) {
    Patch patch;
    for (const ChosenView& view : chosen)
        patch.merge(uenvs[view.uenv].metadata->views.at(view.view).patch);
    return patch;
}

}  // namespace squenv::view
