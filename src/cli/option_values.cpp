// SPDX-License-Identifier: MIT
#include "cli/option_values.h"

#include <string>

namespace squenv::cli {

void refuse_empty_values(CLI::App& app) {
    const CLI::Validator not_empty(
        [](std::string& value) { return value.empty() ? std::string("is empty") : std::string(); },
        "");
    for (CLI::Option* option : app.get_options())
        if (!option->get_lnames().empty() && option->get_items_expected_max() > 0)
            option->check(not_empty);
}

}  // namespace squenv::cli
