// SPDX-License-Identifier: MIT
#include "cli/shell_prompt.h"

#include <ostream>

#include "base/text.h"
#include "cli/shell_start.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

/// "(project) ": the images by the names of their environments.
std::string prompt_mark(const std::vector<run::Placement>& placements) {
    std::string names;
    for (const auto& placement : placements)
        names += (names.empty() ? "" : " ") + venv::prompt_name(placement.mountpoint);
    return '(' + names + ") ";
}

/// The prefix that CONDA_PREFIX names, or "".
std::string conda_prefix(const Launch& launch, const std::vector<run::Placement>& placements) {
    for (std::size_t i = 0; i < launch.images.size(); ++i)
        if (launch.images[i].kind == venv::EnvironmentKind::conda) return placements[i].mountpoint;
    return {};
}

/// The names of the variables set for the views and the environments: start-up files, as that of
/// "conda init", set them anew.
std::vector<std::string> active_variables(const Launch& launch) {
    std::vector<std::string> names = launch.views.patch.names();
    std::erase(names, "PATH");
    for (const auto& image : launch.images) {
        if (image.kind == venv::EnvironmentKind::none) continue;
        for (const auto& change : venv::activation("/", "", image.kind))
            if (!change.is_removed && !change.is_default && change.name != "PATH")
                names.push_back(change.name);
    }
    return names;
}

}  // namespace

Result<std::vector<std::string>> interactive_shell(const Launch& launch,
                                                   const std::vector<run::Placement>& placements,
                                                   Io& io) {
    const std::string shell = user_shell();
    if (!is_adapted(shell) && !io.is_quiet)
        io.err << "squenv: " << printable(shell)
               << ": is started as it is; a PATH that its start-up files set hides the "
                  "environment, see squenv-shell(1)\n";
    return shell_command(shell, {prompt_mark(placements), active_variables(launch),
                                 conda_prefix(launch, placements)});
}

}  // namespace squenv::cli
