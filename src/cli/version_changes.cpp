// SPDX-License-Identifier: MIT
#include "cli/version_changes.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/shell_word.h"
#include "base/text.h"
#include "base/units.h"
#include "diff/image_tree.h"
#include "image/image.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostLines = 10;

Result<std::vector<venv::Package>> read_packages(const versions::Version& version) {
    if (version.path.empty()) return fail(Errc::not_found, "there is no such version");
    SQUENV_TRY_ASSIGN(const auto image, image::Image::open(version.path));
    return venv::installed_packages(diff::ImageTree(*image));
}

Json packages_as_json(const std::vector<venv::Package>& packages) {
    Json list = Json::array();
    for (const auto& package : packages) {
        list.push_back({{"name", package.name}, {"version", package.version}});
        if (!package.build.empty()) list.back()["build"] = package.build;
    }
    return list;
}

}  // namespace

std::string version_text(const venv::Package& package, bool with_build) {
    const bool is_told = with_build && !package.build.empty();
    return printable(package.version + (is_told ? " " + package.build : ""));
}

const Result<std::vector<venv::Package>>& VersionPackages::of(const versions::Version& version) {
    const auto known = known_.find(version.path);
    if (known != known_.end()) return known->second;
    return known_.emplace(version.path, read_packages(version)).first->second;
}

Result<venv::PackageDiff> VersionPackages::changes(const versions::Version& before,
                                                   const versions::Version& after) {
    if (!before.digest.empty() && before.digest == after.digest) return venv::PackageDiff{};
    const auto& old_packages = of(before);
    if (!old_packages) return tl::unexpected(old_packages.error());
    const auto& new_packages = of(after);
    if (!new_packages) return tl::unexpected(new_packages.error());
    return venv::compare_packages(*old_packages, *new_packages);
}

std::vector<std::string> change_lines(const venv::PackageDiff& changes) {
    std::vector<std::string> lines;
    for (const auto& package : changes.added)
        lines.push_back(
            fmt::format("+ {} {}", printable(package.name), version_text(package, false)));
    for (const auto& package : changes.removed)
        lines.push_back(
            fmt::format("- {} {}", printable(package.name), version_text(package, false)));
    for (const auto& [before, after] : changes.updated) {
        const bool has_other_build = before.version == after.version;
        lines.push_back(fmt::format("~ {} {} -> {}", printable(after.name),
                                    version_text(before, has_other_build),
                                    version_text(after, has_other_build)));
    }
    if (lines.size() <= kMostLines) return lines;
    const std::size_t more = lines.size() - kMostLines + 1;
    lines.resize(kMostLines - 1);
    lines.push_back(fmt::format("and {} more packages", more));
    return lines;
}

Json changes_as_json(const venv::PackageDiff& changes) {
    Json json{{"added", packages_as_json(changes.added)},
              {"removed", packages_as_json(changes.removed)},
              {"updated", Json::array()}};
    for (const auto& [before, after] : changes.updated) {
        json["updated"].push_back(
            {{"name", after.name}, {"from", before.version}, {"to", after.version}});
        if (before.build != after.build) {
            json["updated"].back()["from_build"] = before.build;
            json["updated"].back()["to_build"] = after.build;
        }
    }
    return json;
}

Status check_current(const std::string& image) {
    const auto opened = image::Image::open(image);
    if (opened) return {};
    const Errc code = opened.error().code;
    if (code != Errc::unsupported && code != Errc::corrupt) return {};
    Error error = opened.error();
    if (versions::are_kept(image))
        error.hint = fmt::format("'squenv rollback {}' makes the version before it current",
                                 quoted_if_needed(image));
    return tl::unexpected(std::move(error));
}

std::string version_line(const versions::Version& version) {
    const std::time_t time = version.time;
    std::tm parts{};
    ::localtime_r(&time, &parts);
    return fmt::format("{:>3}  {:%Y-%m-%d %H:%M}  {:>10}", version.number, parts,
                       format_size(version.size_bytes));
}

Json version_as_json(const versions::Version& version) {
    return {{"number", version.number},
            {"time", version.time},
            {"size_bytes", version.size_bytes},
            {"digest", version.digest},
            {"verb", version.origin.verb},
            {"command", version.origin.command},
            {"parent", version.origin.parent},
            {"user", version.user},
            {"current", version.is_current},
            {"pinned", version.is_pinned},
            {"path", version.path}};
}

}  // namespace squenv::cli
