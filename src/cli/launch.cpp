// SPDX-License-Identifier: MIT
#include "cli/launch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <ostream>
#include <sstream>

#include "base/inherited_fds.h"
#include "base/unique_fd.h"
#include "cli/image_argument.h"
#include "cli/mount_options.h"
#include "venv/activation.h"

namespace squenv::cli {

namespace {

/// What is mounted for this process, in the form that the command line takes.
constexpr const char* kMountsVariable = "SQUENV_MOUNTS";

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

Status set_variables(const std::vector<std::string>& assignments) {
    for (const auto& assignment : assignments) {
        const auto equals = assignment.find('=');
        if (equals == 0 || equals == std::string::npos)
            return fail(Errc::invalid_argument, "--env " + assignment + ": not NAME=VALUE",
                        "write --env NAME=VALUE");
        ::setenv(assignment.substr(0, equals).c_str(), assignment.substr(equals + 1).c_str(), 1);
    }
    return {};
}

/// The first image is activated last, so that its programs come first.
void activate(const std::vector<ListedRequest>& images,
              const std::vector<mount::Placement>& placements) {
    std::string mounts = variable(kMountsVariable);
    for (std::size_t i = images.size(); i-- > 0;) {
        const std::string& root = placements[i].mountpoint;
        mounts = placements[i].image + ':' + root + (mounts.empty() ? "" : ',' + mounts);
        if (!images[i].is_python) continue;
        for (const auto& change : venv::activation(root, variable("PATH"))) {
            if (change.is_removed)
                ::unsetenv(change.name.c_str());
            else
                ::setenv(change.name.c_str(), change.value.c_str(), 1);
        }
    }
    ::setenv(kMountsVariable, mounts.c_str(), 1);
}

/// A directory of PATH that may not be searched makes execvp(3) say "denied" for a program that is
/// nowhere.
bool is_in_path(const std::string& program) {
    if (program.find('/') != std::string::npos) return true;
    std::istringstream directories(variable("PATH"));
    for (std::string directory; std::getline(directories, directory, ':');)
        if (::access((directory + '/' + program).c_str(), F_OK) == 0) return true;
    return false;
}

void tell(const std::vector<mount::Placement>& placements, Io& io) {
    for (const auto& placement : placements) {
        if (io.is_verbose)
            io.err << fmt::format("squenv: {} is at {} ({}{})\n", printable(placement.image),
                                  printable(placement.mountpoint), method_name(placement.method),
                                  placement.is_new ? "" : ", joined");
        if (!placement.note.empty() && !io.is_quiet)
            io.err << fmt::format("squenv: {}: {}\n", printable(placement.image),
                                  printable(placement.note));
    }
}

}  // namespace

void LaunchOptions::declare(CLI::App& app) {
    app.add_option("IMAGES", images, "IMAGE[:PATH][,IMAGE[:PATH]...]")->required();
    app.add_option("--via", via, "auto, direct, fusermount, userns, extract")->type_name("METHOD");
    app.add_option("--env", variables, "Set a variable; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    app.add_option("-o", mount_options, "Mount options, see squenv-mount(1)")
        ->type_name("OPT,...")
        ->allow_extra_args(false);
    app.add_flag("--force", force, "At another path than it was made for");
}

Result<mount::Provision> provide_images(const LaunchOptions& options, Io& io) {
    const auto foreign = inherited_descriptors();
    mount::MountRequest base;
    for (const auto& text : options.mount_options) SQUENV_TRY(apply_mount_options(text, base));
    if (io.is_verbose) base.log_level = log::Level::debug;
    if (io.is_quiet) base.log_level = log::Level::error;
    SQUENV_TRY_ASSIGN(const auto via, mount::parse_method(options.via));
    SQUENV_TRY_ASSIGN(const auto list, parse_image_list(options.images));
    SQUENV_TRY_ASSIGN(const auto images, resolve_images(list, base, options.force));
    std::vector<mount::Wanted> wanted;
    for (const auto& image : images) wanted.push_back(image.wanted);
    SQUENV_TRY_ASSIGN(auto provision, mount::provide(wanted, via, foreign));
    tell(provision.placements, io);
    activate(images, provision.placements);
    SQUENV_TRY(set_variables(options.variables));
    return provision;
}

Status become(mount::Provision& provision, const std::vector<std::string>& command) {
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    SQUENV_TRY(provision.settle());
    ::execvp(words[0], words.data());
    const int code = errno == EACCES && !is_in_path(command.front()) ? ENOENT : errno;
    return fail_errno(code, command.front(),
                      code == ENOENT ? "neither in PATH nor in the environment" : "");
}

int launch_status(bool has_provided, Errc code) {
    if (!has_provided) return 125;
    return code == Errc::not_found ? 127 : 126;
}

}  // namespace squenv::cli
