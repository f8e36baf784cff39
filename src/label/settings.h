// SPDX-License-Identifier: MIT
// Where uenv looks for its repositories: options, variables, configuration files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "label/repository.h"

namespace squenv::label {

/// What the user gives, and the environment that the rest is read from.
struct Sources {
    std::string repository{};  ///< --repo, a list; "" is none
    std::string system{};      ///< --system; "" is none
    std::map<std::string, std::string> variables{};
    std::string system_directory = "/etc/uenv";  ///< of configuration files
};

struct Settings {
    std::vector<Repository> repositories{};  ///< in the order in which they are searched
    std::string system{};                    ///< of labels that name none; "" is any
};

/// The repositories that `sources` or UENV_REPO_PATH lists, in that order: names of the
/// configuration, paths and NAME=PATH, with commas between. Without a list those of config.toml of
/// the user and of the system by their priority, and with priority 9 the one called default: `repo`
/// of the files called config, $SCRATCH/.uenv-images or ~/.uenv/repo. Of two with one name that of
/// the user counts. Those that are not there are left out. The system is that of `sources`, else
/// `system_name` of config.toml, else CLUSTER_NAME. Errors: not_found (one that was listed),
/// corrupt (a file, with the line), unsupported (config.toml in a build without labels).
[[nodiscard]] Result<Settings> load_settings(const Sources& sources);

/// `label` with the system of this machine, if it names none. "*" becomes any.
[[nodiscard]] Label for_system(Label label, const Settings& settings);

}  // namespace squenv::label
