// SPDX-License-Identifier: MIT
#include "venv/check.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/little_endian.h"
#include "base/unique_fd.h"
#include "venv/check_interpreter.h"
#include "venv/files.h"

namespace squenv::venv {

namespace {

/// Scripts, .pth files and direct_url.json are text of a few lines.
constexpr std::size_t kMaxText = 64U << 10;

constexpr const char* kCache = "__pycache__";
constexpr std::string_view kInCache = "/__pycache__";  ///< ends the path of such a directory
constexpr std::string_view kSource = ".py";
constexpr const char* kMakeReadable = "make it readable, or leave it out with --ignore-unreadable";

/// `path` without "." and "..", as text; what a symlink in between would change does not count.
std::string normalise(const std::string& path) {
    std::vector<std::string> parts;
    std::istringstream segments(path);
    for (std::string part; std::getline(segments, part, '/');) {
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!parts.empty()) parts.pop_back();
            continue;
        }
        parts.push_back(part);
    }
    std::string out;
    for (const auto& part : parts) out += '/' + part;
    return out.empty() ? "/" : out;
}

bool is_inside(const std::string& path, const std::string& root) {
    const std::string normal = normalise(path);
    return normal == root || normal.starts_with(root + '/');
}

/// True for another name of the same directory, through a link above it for example.
bool is_same_directory(const std::string& a, const std::string& b) {
    struct stat first {};
    struct stat second {};
    return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// The interpreter a script names: in its first line, or in the "exec" that long paths need.
std::string interpreter_of(const std::string& text) {
    if (!text.starts_with("#!")) return {};
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    std::string interpreter = line.substr(2);
    std::string second;
    if (std::getline(lines, second) && second.starts_with("'''exec'"))
        interpreter = second.substr(8);
    const auto begin = interpreter.find_first_not_of(" \t\"'");
    if (begin == std::string::npos) return {};
    interpreter = interpreter.substr(begin);
    return interpreter.substr(0, interpreter.find_first_of(" \t\r\"'"));
}

/// The path that an activate script sets VIRTUAL_ENV to, when it is written out.
std::string activated_path(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        auto at = line.find("VIRTUAL_ENV");
        if (at == std::string::npos || line.find('#') < at) continue;
        at = line.find_first_not_of("= \t\"'", at + 11);
        if (at == std::string::npos || line[at] != '/') continue;
        const std::string path = line.substr(at, line.find_first_of("\"'\r;)", at) - at);
        if (!path.empty()) return path;
    }
    return {};
}

/// The first bytes of the file `name`, which may be a link; "" when it cannot be read, nothing when
/// it is not there.
std::optional<std::string> head_of(int directory, const std::string& name) {
    const UniqueFd file(
        ::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file) return errno == ENOENT ? std::nullopt : std::optional(std::string());
    std::string head(kSeenHeadBytes, '\0');
    const ssize_t size = ::pread(file.get(), head.data(), head.size(), 0);
    head.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return head;
}

/// The directory of the compiled forms of what is in `directory` if it is a link, which the walk
/// does not follow; else none.
UniqueFd open_linked_cache(const SeenDirectory& directory) {
    const auto& entries = *directory.entries;
    const bool is_link = std::any_of(entries.begin(), entries.end(), [](const SeenEntry& entry) {
        return entry.name == kCache && entry.is_symlink();
    });
    if (!is_link) return {};
    return UniqueFd(::openat(directory.descriptor, kCache, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// "3.11.2" -> ".cpython-311.pyc"; "" of an environment that has no such forms.
std::string suffix_of_forms(const Environment& environment) {
    const std::string& version = environment.python_version;
    const auto dot = version.find('.');
    if (dot == std::string::npos || !environment.library.starts_with("lib/python")) return {};
    const auto end = version.find_first_not_of("0123456789", dot + 1);
    return fmt::format(".cpython-{}{}.pyc", version.substr(0, dot),
                       version.substr(dot + 1, end - dot - 1));
}

/// What the paths in the environment begin with where it is used.
std::string place_of(const Environment& environment, const std::string& root,
                     const std::string& mount_point) {
    if (!environment.place.empty()) return normalise(environment.place);
    const bool is_conda = environment.kind == EnvironmentKind::conda;
    return is_conda && !mount_point.empty() ? normalise(mount_point) : root;
}

Finding link_finding(const OutsideLink& link) {
    return {link.path, "is a link to " + link.target + ", outside the tree",
            "copy the target into the environment"};
}

}  // namespace

bool Check::Module::fits(const std::string& head) const {
    if (head.size() != kSeenHeadBytes) return false;
    const auto word = [&](std::size_t at) { return load<Le32>(as_bytes(head).subspan(at)).get(); };
    // Bit 0: checked by hash or never, not by time and size.
    if ((word(4) & 1) != 0) return true;
    return has_attributes && word(8) == static_cast<std::uint32_t>(mtime_seconds) &&
           word(12) == static_cast<std::uint32_t>(size_bytes);
}

Check::Check(Environment environment, std::string compiled, const std::string& mount_point)
    : environment_(std::move(environment)),
      compiled_(std::move(compiled)),
      root_(normalise(environment_.root)),
      place_(place_of(environment_, root_, mount_point)),
      suffix_(suffix_of_forms(environment_)),
      is_root_user_(::geteuid() == 0) {
}

void Check::add(Finding finding) {
    std::lock_guard lock(mutex_);
    findings_.push_back(std::move(finding));
}

void Check::check_link(const std::string& path, const SeenEntry& link) {
    if (link.target.empty()) return;
    const std::string target(link.target);
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string whole =
        target.starts_with('/') ? target : place_ + '/' + directory + '/' + target;
    if (is_inside(whole, place_) || is_inside(whole, root_)) return;
    if (environment_.kind == EnvironmentKind::conda) {
        std::lock_guard lock(mutex_);
        outside_links_.push_back({path, normalise(whole)});
        return;
    }
    // The interpreter of a virtual environment is always such a link; the manifest records it.
    if (directory == "bin" && link.name.starts_with("python")) return;
    add(link_finding({path, target}));
}

void Check::check_path_file(const std::string& path) {
    const auto text = read_head(root_ + '/' + path, kMaxText);
    if (!text) return;
    const std::string directory = place_ + '/' + environment_.site_packages();
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        while (line.ends_with('\r') || line.ends_with(' ')) line.pop_back();
        if (line.empty() || line.starts_with('#') || line.starts_with("import ") ||
            line.starts_with("import\t"))
            continue;
        const std::string whole = line.starts_with('/') ? line : directory + '/' + line;
        if (!is_inside(whole, place_))
            add({path, "adds " + line + ", outside the tree, to the module path",
                 "install that package without -e"});
    }
}

void Check::check_direct_url(const std::string& path) {
    const auto text = read_head(root_ + '/' + path, kMaxText);
    const auto json = nlohmann::json::parse(text.value_or(""), nullptr, false);
    if (!json.is_object() || !json.contains("dir_info") || !json["dir_info"].is_object()) return;
    const auto& info = json["dir_info"];
    if (!info.contains("editable") || info["editable"] != true) return;
    const std::string url =
        json.contains("url") && json["url"].is_string() ? json["url"].get<std::string>() : "";
    add({path, "is an editable install of " + url,
         "install that package without -e, or it is missing where " +
             std::string("its sources are not mounted")});
}

void Check::check_script(const std::string& path) {
    const auto text = read_head(root_ + '/' + path, kMaxText);
    if (!text) return;
    const std::string advice = "make the environment anew at its path, or pack it from there";
    const std::string interpreter = interpreter_of(*text);
    const std::string name = interpreter.substr(interpreter.rfind('/') + 1);
    if (interpreter.starts_with('/') && (name.starts_with("python") || name.starts_with("pypy")) &&
        !is_inside(interpreter, place_) &&
        !is_same_directory(interpreter.substr(0, interpreter.rfind('/')), place_ + "/bin"))
        add({path, "runs with " + interpreter, advice});
    if (!path.starts_with("bin/activate")) return;
    const std::string activated = activated_path(*text);
    if (!activated.empty() && normalise(activated) != place_ &&
        !is_same_directory(activated, place_))
        add({path, "activates " + activated, advice});
}

bool Check::is_cache(std::string_view path) const {
    return !suffix_.empty() && path.starts_with(environment_.library) && path.ends_with(kInCache);
}

bool Check::wants_head(std::string_view path, std::string_view name) const {
    return is_cache(path) && name.ends_with(suffix_);
}

void Check::note_forms(const SeenDirectory& cache, std::string_view directory) {
    for (const SeenEntry& entry : *cache.entries) {
        if (!entry.name.ends_with(suffix_)) continue;
        auto head = entry.is_file() ? std::string(entry.head)
                                    : head_of(cache.descriptor, std::string(entry.name));
        if (!head) continue;
        std::string module = join(std::string(directory), std::string(entry.name));
        module.resize(module.size() - suffix_.size());
        std::lock_guard lock(mutex_);
        forms_.insert_or_assign(std::move(module), std::move(*head));
    }
}

void Check::note_modules(const SeenDirectory& directory) {
    const auto more = compiled_.empty() ? Result<UniqueFd>(UniqueFd())
                                        : open_file(join(join(compiled_, directory.path), kCache),
                                                    O_PATH | O_DIRECTORY);
    const UniqueFd linked = open_linked_cache(directory);
    for (const SeenEntry& entry : *directory.entries) {
        if (!entry.is_file() || !entry.name.ends_with(kSource)) continue;
        const std::string name(entry.name.substr(0, entry.name.size() - kSource.size()));
        std::optional<std::string> head;
        if (more && *more) head = head_of(more->get(), name + suffix_);
        if (!head && linked) head = head_of(linked.get(), name + suffix_);
        Module module{join(directory.path, name), entry.size_bytes, entry.mtime_seconds,
                      entry.has_attributes};
        std::lock_guard lock(mutex_);
        if (!head)
            modules_.push_back(std::move(module));
        else if (!module.fits(*head))
            stale_.push_back(std::move(module.path));
    }
}

void Check::check_modules() {
    for (Module& module : modules_) {
        const auto form = forms_.find(module.path);
        if (form == forms_.end())
            uncompiled_.push_back(std::move(module.path));
        else if (!module.fits(form->second))
            stale_.push_back(std::move(module.path));
    }
}

/// One finding for all `modules`, under the name of the first one.
void Check::add_module_finding(const std::vector<std::string>& modules, const char* of_one,
                               const char* of_more) {
    if (modules.empty()) return;
    add({*std::min_element(modules.begin(), modules.end()) + std::string(kSource),
         modules.size() == 1 ? std::string(of_one)
                             : fmt::format("and {} other modules {}", modules.size() - 1, of_more),
         "add --compile, or every start compiles them again"});
}

void Check::visit_file(const SeenDirectory& directory, const SeenEntry& file) {
    const std::string path = join(directory.path, std::string(file.name));
    const std::string name(file.name);
    if (!is_root_user_ && ::faccessat(directory.descriptor, name.c_str(), R_OK, 0) != 0)
        add({path, "cannot be read", kMakeReadable});
    if (directory.path == environment_.site_packages() && file.name.ends_with(".pth"))
        check_path_file(path);
    if (directory.path == "bin") check_script(path);
    if (file.name == "direct_url.json" && directory.path.ends_with(".dist-info"))
        check_direct_url(path);
}

void Check::visit(const SeenDirectory& directory) {
    if (directory.entries == nullptr) {
        add({directory.path.empty() ? "." : directory.path, "cannot be listed", kMakeReadable});
        return;
    }
    for (const SeenEntry& entry : *directory.entries) {
        if (entry.is_symlink()) check_link(join(directory.path, std::string(entry.name)), entry);
        if (entry.is_file()) visit_file(directory, entry);
    }
    if (suffix_.empty() || !directory.path.starts_with(environment_.library)) return;
    note_modules(directory);
    if (is_cache(directory.path))
        note_forms(
            directory,
            std::string_view(directory.path).substr(0, directory.path.size() - kInCache.size()));
}

/// What no directory tells alone.
void Check::check_packages() {
    if (environment_.kind != EnvironmentKind::conda) return;
    for (Finding& finding : check_conda(environment_, place_, outside_links_))
        add(std::move(finding));
    for (const OutsideLink& link : outside_links_) add(link_finding(link));
}

std::vector<Finding> Check::finish() {
    check_modules();
    check_packages();
    add_module_finding(uncompiled_, "has no compiled form", "have no compiled form");
    add_module_finding(stale_, "is newer than its compiled form",
                       "do not match their compiled form");
    for (Finding& finding : check_interpreter(environment_)) add(std::move(finding));
    std::sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
        return std::tie(a.path, a.reason) < std::tie(b.path, b.reason);
    });
    return std::move(findings_);
}

}  // namespace squenv::venv
