// SPDX-License-Identifier: MIT
#include "venv/packages.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <sstream>
#include <tuple>
#include <utility>

#include "venv/files.h"
#include "venv/kind.h"

namespace squenv::venv {

namespace {

/// The headers of metadata, which begin the file. A description of any length follows.
constexpr std::size_t kMaxMetadata = 64U << 10;
/// No package index takes names of this length.
constexpr std::size_t kMaxField = 256;

/// Packages by normalised name, and the names of their kind that Python found.
class PackageList {
  public:
    void add_of_python(Package package);
    void add_of_conda(Package package);
    [[nodiscard]] bool is_full() const { return count_ >= kMaxPackages; }
    [[nodiscard]] std::vector<Package> take();

  private:
    std::map<std::string, std::vector<Package>> packages_;
    std::size_t count_ = 0;
};

void PackageList::add_of_python(Package package) {
    auto& same = packages_[normalised_name(package.name)];
    const bool is_known = std::any_of(same.begin(), same.end(), [&](const Package& other) {
        return other.version == package.version;
    });
    if (is_known || is_full()) return;
    same.push_back(std::move(package));
    ++count_;
}

/// After those of Python: what pip has replaced since is what Python imports.
void PackageList::add_of_conda(Package package) {
    auto& same = packages_[normalised_name(package.name)];
    for (Package& other : same)
        if (other.version == package.version) other.build = package.build;
    if (!same.empty() || is_full()) return;
    same.push_back(std::move(package));
    ++count_;
}

std::vector<Package> PackageList::take() {
    std::vector<Package> all;
    for (auto& [name, same] : packages_) {
        std::sort(same.begin(), same.end(), [](const Package& a, const Package& b) {
            return std::tie(a.version, a.build) < std::tie(b.version, b.build);
        });
        std::move(same.begin(), same.end(), std::back_inserter(all));
    }
    return all;
}

std::string trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return {};
    text = text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
    return std::string(text.substr(0, kMaxField));
}

/// The value of "Name: value", whose name is given in lower case, or "".
std::string header_value(const std::string& line, std::string_view name) {
    if (line.size() <= name.size() || line[name.size()] != ':') return {};
    const bool is_same = std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
        return a == std::tolower(static_cast<unsigned char>(b));
    });
    return is_same ? trimmed(std::string_view(line).substr(name.size() + 1)) : std::string();
}

/// What METADATA or PKG-INFO say; a part that is not there is "".
Package parse_metadata(const std::string& text) {
    Package package;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line) && !trimmed(line).empty();) {
        if (package.name.empty()) package.name = header_value(line, "name");
        if (package.version.empty()) package.version = header_value(line, "version");
    }
    return package;
}

/// "numpy-1.26.4" -> its two parts, divided at the last dash.
Package split_name(std::string_view stem) {
    const auto dash = stem.rfind('-');
    Package package{trimmed(stem.substr(0, dash))};
    if (dash != std::string_view::npos) package.version = trimmed(stem.substr(dash + 1));
    return package;
}

/// "foo-1.0-py3.11" -> "foo-1.0"
std::string_view without_python(std::string_view stem) {
    const auto dash = stem.rfind("-py");
    const bool has_number = dash != std::string_view::npos && dash + 3 < stem.size() &&
                            std::isdigit(static_cast<unsigned char>(stem[dash + 3])) != 0;
    return has_number ? stem.substr(0, dash) : stem;
}

/// How packages are recorded in a directory of modules.
struct MetadataFile {
    std::string_view ending;    ///< of the name
    const char* metadata = "";  ///< in the directory of that name
};
constexpr MetadataFile kRecords[] = {
    {".dist-info", "METADATA"}, {".egg-info", "PKG-INFO"}, {".egg", "EGG-INFO/PKG-INFO"}};

/// The package that `entry` of the directory `site` records, if it does.
Result<Package> recorded_package(const FileTree& tree, const std::string& site,
                                 const FileEntry& entry) {
    for (const MetadataFile& record : kRecords) {
        // What pip was about to remove has a name that begins with a tilde.
        if (!entry.name.ends_with(record.ending) || entry.name.starts_with('~')) continue;
        std::string path = join(site, entry.name);
        if (entry.kind == Kind::directory) path = join(path, record.metadata);
        SQUENV_TRY_ASSIGN(const std::string text, tree.read(path, kMaxMetadata));
        // Where a link leads to may be outside of an image.
        if (text.empty() && entry.kind != Kind::symlink) return Package();
        const Package by_name = split_name(without_python(
            std::string_view(entry.name).substr(0, entry.name.size() - record.ending.size())));
        Package package = parse_metadata(text);
        if (package.name.empty()) package.name = by_name.name;
        if (package.version.empty()) package.version = by_name.version;
        return package;
    }
    return Package();
}

Status add_site(const FileTree& tree, const std::string& site, PackageList& list) {
    SQUENV_TRY_ASSIGN(const auto entries, tree.list(site));
    for (const FileEntry& entry : entries) {
        if (list.is_full()) return {};
        SQUENV_TRY_ASSIGN(Package package, recorded_package(tree, site, entry));
        if (!package.name.empty()) list.add_of_python(std::move(package));
    }
    return {};
}

/// The directories of modules in `prefix`.
Result<std::vector<std::string>> sites_in(const FileTree& tree, const std::string& prefix) {
    // "pip install --target" makes no other directory.
    std::vector<std::string> sites{prefix};
    SQUENV_TRY_ASSIGN(const auto parents, tree.list(prefix));
    for (const char* name : {"lib", "lib64"}) {
        const std::string library = join(prefix, name);
        const bool is_directory =
            std::any_of(parents.begin(), parents.end(), [&](const FileEntry& entry) {
                return entry.name == name && entry.kind == Kind::directory;
            });
        if (!is_directory) continue;
        SQUENV_TRY_ASSIGN(const auto entries, tree.list(library));
        for (const FileEntry& entry : entries) {
            const bool is_python =
                entry.name.starts_with("python") || entry.name.starts_with("pypy");
            if (!is_python || entry.kind != Kind::directory) continue;
            for (const char* modules : {"site-packages", "dist-packages"})
                sites.push_back(join(join(library, entry.name), modules));
        }
    }
    return sites;
}

/// By the names of the records: the files themselves have megabytes.
Status add_conda(const FileTree& tree, const std::string& prefix, PackageList& list) {
    SQUENV_TRY_ASSIGN(const auto entries, tree.list(join(prefix, "conda-meta")));
    for (const FileEntry& entry : entries)
        if (Package package = conda_package(entry.name); !package.name.empty())
            list.add_of_conda(std::move(package));
    return {};
}

/// "" and the place of an environment deeper in the tree, when that is none itself.
Result<std::vector<std::string>> prefixes_of(const FileTree& tree) {
    Status status;
    const HasPath has = [&](const std::string& path) {
        const auto slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
        const auto entries = tree.list(parent);
        if (!entries) {
            if (status) status = tl::unexpected(entries.error());
            return false;
        }
        return std::any_of(entries->begin(), entries->end(), [&](const FileEntry& entry) {
            return entry.name == path.substr(slash + 1);
        });
    };
    std::vector<std::string> prefixes{""};
    if (environment_kind(has) == EnvironmentKind::none)
        if (auto inner = inner_environment(has); !inner.empty())
            prefixes.push_back(std::move(inner));
    SQUENV_TRY(status);
    return prefixes;
}

/// What identifies the content of a package: two that have the same are the same.
auto identity(const Package& package) {
    return std::tie(package.version, package.build);
}

using PackageGroup = std::vector<Package>;

/// Puts what differs between the packages of one name into `diff`.
void compare_group(PackageGroup before, PackageGroup after, PackageDiff& diff) {
    std::erase_if(before, [&](const Package& package) {
        const auto same = std::find_if(after.begin(), after.end(), [&](const Package& other) {
            return identity(other) == identity(package);
        });
        if (same == after.end()) return false;
        after.erase(same);
        return true;
    });
    if (before.size() == 1 && after.size() == 1) {
        diff.updated.push_back({std::move(before.front()), std::move(after.front())});
        return;
    }
    std::move(before.begin(), before.end(), std::back_inserter(diff.removed));
    std::move(after.begin(), after.end(), std::back_inserter(diff.added));
}

std::map<std::string, PackageGroup> grouped(const std::vector<Package>& packages) {
    std::map<std::string, PackageGroup> groups;
    for (const Package& package : packages)
        groups[normalised_name(package.name)].push_back(package);
    return groups;
}

}  // namespace

std::string normalised_name(std::string_view name) {
    std::string normal;
    for (const char c : name) {
        const bool is_separator = c == '-' || c == '_' || c == '.';
        if (!is_separator)
            normal += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else if (!normal.ends_with('-'))
            normal += '-';
    }
    return normal;
}

Package conda_package(std::string_view file_name) {
    constexpr std::string_view kEnding = ".json";
    if (!file_name.ends_with(kEnding)) return {};
    const std::string_view stem = file_name.substr(0, file_name.size() - kEnding.size());
    const auto dash = stem.rfind('-');
    if (dash == std::string_view::npos) return {};
    Package package = split_name(stem.substr(0, dash));
    if (package.version.empty()) return {};
    package.build = trimmed(stem.substr(dash + 1));
    return package;
}

Result<std::vector<Package>> installed_packages(const FileTree& tree) {
    SQUENV_TRY_ASSIGN(const auto prefixes, prefixes_of(tree));
    PackageList list;
    for (const std::string& prefix : prefixes) {
        SQUENV_TRY_ASSIGN(const auto sites, sites_in(tree, prefix));
        for (const std::string& site : sites) SQUENV_TRY(add_site(tree, site, list));
    }
    for (const std::string& prefix : prefixes) SQUENV_TRY(add_conda(tree, prefix, list));
    return list.take();
}

PackageDiff compare_packages(const std::vector<Package>& before,
                             const std::vector<Package>& after) {
    auto old_groups = grouped(before);
    auto new_groups = grouped(after);
    for (const auto& [name, group] : new_groups) old_groups.try_emplace(name);
    PackageDiff diff;
    for (auto& [name, group] : old_groups)
        compare_group(std::move(group), std::move(new_groups[name]), diff);
    return diff;
}

}  // namespace squenv::venv
