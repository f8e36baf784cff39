// SPDX-License-Identifier: MIT
// Which views of the uenvs of a session apply, and in which order.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "view/metadata.h"

namespace squenv::view {

/// A view as the user names it.
struct ViewName {
    std::string uenv{};  ///< "" is any
    std::string view{};
    bool operator==(const ViewName&) const = default;
};

/// "view" or "uenv:view", separated by commas; one comma may end it. Errors: invalid_argument.
[[nodiscard]] Result<std::vector<ViewName>> parse_view_list(std::string_view text);

/// An image of a session by its name there.
struct SessionUenv {
    std::string name{};
    const Metadata* metadata = nullptr;  ///< nullptr: it has no views
};

/// A view of the uenv with this index.
struct ChosenView {
    std::size_t uenv = 0;
    std::string view{};
    bool operator==(const ChosenView&) const = default;
};

/// The names in the session, for images that know theirs or not (""): these are called "anonymous",
/// "anonymous0" and so on. Errors: invalid_argument (two have one name).
[[nodiscard]] Result<std::vector<std::string>> session_names(std::vector<std::string> names);

/// The views that are asked for, in that order. Then, with `use_defaults`, the default view of
/// every uenv of which none is asked for, in the order of the uenvs. Errors: invalid_argument (no
/// such view, or one of several, which the error lists).
[[nodiscard]] Result<std::vector<ChosenView>> choose_views(const std::vector<SessionUenv>& uenvs,
                                                           const std::vector<ViewName>& asked,
                                                           bool use_defaults);

/// The changes of all of them together.
[[nodiscard]] Patch patch_of(const std::vector<SessionUenv>& uenvs,
                             const std::vector<ChosenView>& chosen);

}  // namespace squenv::view
