// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "base/little_endian.h"
#include "base/bytes.h"
#include "base/unique_fd.h"
#include "venv/environment.h"
#include "venv/check_interpreter.h"
#include "venv/walk.h"

namespace squenv::venv {

namespace {

/// Scripts, .pth files and direct_url.json are text of a few lines.
constexpr std::size_t kMaxText = 64U << 10;

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

/// Collects the findings of one environment, from several threads.
class Checker {
  public:
    Checker(const Environment& environment, const std::string& compiled)
        : environment_(environment), compiled_(compiled), root_(normalise(environment.root)) {}

    std::vector<Finding> run();

  private:
    void visit(const std::string& path, const std::optional<std::vector<WalkEntry>>& entries);
    void check_link(const std::string& path, const std::string& name);
    void check_path_file(const std::string& path);
    void check_direct_url(const std::string& path);
    void check_script(const std::string& path);
    void check_modules(const std::string& directory, const std::vector<WalkEntry>& entries);
    void add_module_findings();
    void add(Finding finding) {
        std::lock_guard lock(mutex_);
        findings_.push_back(std::move(finding));
    }
    /// Counts a module; the first path of all is the one that is told.
    void count(std::uint64_t& modules, std::string& first, const std::string& path) {
        std::lock_guard lock(mutex_);
        if (modules++ == 0 || path < first) first = path;
    }

    const Environment& environment_;
    const std::string& compiled_;  ///< where more compiled forms are, or ""
    const std::string root_;
    const bool is_root_user_ = ::geteuid() == 0;
    std::mutex mutex_;  ///< protects everything below
    std::vector<Finding> findings_;
    std::uint64_t uncompiled_ = 0;
    std::uint64_t stale_ = 0;
    std::string first_uncompiled_;
    std::string first_stale_;
};

void Checker::check_link(const std::string& path, const std::string& name) {
    std::array<char, PATH_MAX> buffer;
    const ssize_t size = ::readlink((root_ + '/' + path).c_str(), buffer.data(), buffer.size());
    if (size < 0) return;
    const std::string target(buffer.data(), static_cast<std::size_t>(size));
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string whole =
        target.starts_with('/') ? target : root_ + '/' + directory + '/' + target;
    if (is_inside(whole, root_)) return;
    // The interpreter of a virtual environment is always such a link; the manifest records it.
    if (directory == "bin" && name.starts_with("python")) return;
    add({path, "is a link to " + target + ", outside the tree",
                         "copy the target into the environment"});
}

void Checker::check_path_file(const std::string& path) {
    const auto text = read_head(root_ + '/' + path, kMaxText);
    if (!text) return;
    const std::string directory = root_ + '/' + environment_.site_packages();
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        while (line.ends_with('\r') || line.ends_with(' ')) line.pop_back();
        if (line.empty() || line.starts_with('#') || line.starts_with("import ") ||
            line.starts_with("import\t"))
            continue;
        const std::string whole = line.starts_with('/') ? line : directory + '/' + line;
        if (!is_inside(whole, root_))
            add({path, "adds " + line + ", outside the tree, to the module path",
                                 "install that package without -e"});
    }
}

void Checker::check_direct_url(const std::string& path) {
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

void Checker::check_script(const std::string& path) {
    const auto text = read_head(root_ + '/' + path, kMaxText);
    if (!text) return;
    const std::string advice = "make the environment anew at its path, or pack it from there";
    const std::string interpreter = interpreter_of(*text);
    const std::string name = interpreter.substr(interpreter.rfind('/') + 1);
    if (interpreter.starts_with('/') && (name.starts_with("python") || name.starts_with("pypy")) &&
        !is_inside(interpreter, root_) &&
        !is_same_directory(interpreter.substr(0, interpreter.rfind('/')), root_ + "/bin"))
        add({path, "runs with " + interpreter, advice});
    if (!path.starts_with("bin/activate")) return;
    const std::string activated = activated_path(*text);
    if (!activated.empty() && normalise(activated) != root_ &&
        !is_same_directory(activated, root_))
        add({path, "activates " + activated, advice});
}

enum class Compiled { current, stale, missing };

/// Whether `name` in the directory `cache` belongs to `source` in `directory`. Errors count as not.
Compiled compiled_form(int cache, const std::string& name, int directory,
                       const std::string& source) {
    const UniqueFd file(
        ::openat(cache, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file) return errno == ENOENT ? Compiled::missing : Compiled::stale;
    std::array<std::byte, 16> head;
    if (::pread(file.get(), head.data(), head.size(), 0) != ssize_t{head.size()})
        return Compiled::stale;
    const auto word = [&](std::size_t at) { return load<Le32>(ByteView(head).subspan(at)).get(); };
    // Bit 0: checked by hash or never, not by time and size.
    if ((word(4) & 1) != 0) return Compiled::current;
    struct stat info {};
    if (::fstatat(directory, source.c_str(), &info, 0) != 0) return Compiled::stale;
    return word(8) == static_cast<std::uint32_t>(info.st_mtim.tv_sec) &&
                   word(12) == static_cast<std::uint32_t>(info.st_size)
               ? Compiled::current
               : Compiled::stale;
}

void Checker::check_modules(const std::string& directory, const std::vector<WalkEntry>& entries) {
    // "3.11.2" -> ".cpython-311.pyc"
    const std::string& version = environment_.python_version;
    const auto dot = version.find('.');
    if (dot == std::string::npos || !environment_.library.starts_with("lib/python")) return;
    const auto end = version.find_first_not_of("0123456789", dot + 1);
    const std::string tag = fmt::format(".cpython-{}{}.pyc", version.substr(0, dot),
                                        version.substr(dot + 1, end - dot - 1));
    // Both open, so that the kernel need not go through the whole path twice for each module.
    const auto sources = open_file(root_ + '/' + directory, O_PATH | O_DIRECTORY);
    const auto cache = open_file(root_ + '/' + directory + "/__pycache__", O_PATH | O_DIRECTORY);
    const auto more =
        compiled_.empty()
            ? Result<UniqueFd>(UniqueFd())
            : open_file(compiled_ + '/' + directory + "/__pycache__", O_PATH | O_DIRECTORY);
    for (const WalkEntry& entry : entries) {
        if (entry.kind != Kind::file || !entry.name.ends_with(".py")) continue;
        const std::string name = entry.name.substr(0, entry.name.size() - 3) + tag;
        Compiled compiled = Compiled::missing;
        if (sources && more && *more)
            compiled = compiled_form(more->get(), name, sources->get(), entry.name);
        if (compiled == Compiled::missing && sources && cache)
            compiled = compiled_form(cache->get(), name, sources->get(), entry.name);
        if (compiled == Compiled::missing)
            count(uncompiled_, first_uncompiled_, join(directory, entry.name));
        else if (compiled == Compiled::stale)
            count(stale_, first_stale_, join(directory, entry.name));
    }
}

void Checker::add_module_findings() {
    const std::string advice = "add --compile, or every start compiles them again";
    if (uncompiled_ > 0)
        add({first_uncompiled_,
                             uncompiled_ == 1
                                 ? std::string("has no compiled form")
                                 : fmt::format("and {} other modules have no compiled form",
                                               uncompiled_ - 1),
                             advice});
    if (stale_ > 0)
        add(
            {first_stale_,
             stale_ == 1 ? std::string("is newer than its compiled form")
                         : fmt::format("and {} other modules do not match their compiled form",
                                       stale_ - 1),
             advice});
}

void Checker::visit(const std::string& path,
                    const std::optional<std::vector<WalkEntry>>& entries) {
    const std::string unreadable = "make it readable, or leave it out with --ignore-unreadable";
    if (!entries) {
        add({path.empty() ? "." : path, "cannot be listed", unreadable});
        return;
    }
    const bool is_site = path == environment_.site_packages();
    for (const WalkEntry& entry : *entries) {
        const std::string name = join(path, entry.name);
        if (entry.kind == Kind::symlink) check_link(name, entry.name);
        if (entry.kind != Kind::file) continue;
        if (!is_root_user_ && ::access((root_ + '/' + name).c_str(), R_OK) != 0)
            add({name, "cannot be read", unreadable});
        if (is_site && entry.name.ends_with(".pth")) check_path_file(name);
        if (path == "bin") check_script(name);
        if (entry.name == "direct_url.json" && path.ends_with(".dist-info"))
            check_direct_url(name);
    }
    if (!environment_.library.empty() && path.starts_with(environment_.library))
        check_modules(path, *entries);
}

std::vector<Finding> Checker::run() {
    walk(root_, [this](const std::string& path, const auto& entries) { visit(path, entries); });
    add_module_findings();
    for (Finding& finding : check_interpreter(environment_)) add(std::move(finding));
    std::sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
        return std::tie(a.path, a.reason) < std::tie(b.path, b.reason);
    });
    return std::move(findings_);
}

}  // namespace

std::vector<Finding> check(const Environment& environment, const std::string& compiled) {
    return Checker(environment, compiled).run();
}

}  // namespace squenv::venv
