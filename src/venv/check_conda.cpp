// SPDX-License-Identifier: MIT
#include "venv/check_conda.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_depth.h"
#include "base/paths.h"
#include "base/unique_fd.h"
#include "venv/files.h"
#include "venv/packages.h"

namespace squenv::venv {

namespace {

using Json = nlohmann::json;

/// The records of the largest packages have a tenth of it.
constexpr std::uint64_t kMaxRecord = 64U << 20;
constexpr int kMaxDepth = 32;
constexpr std::size_t kPieceBytes = 1U << 20;
/// Files that name another path: after these, the rest is hardly of interest.
constexpr std::size_t kMostFiles = 1000;

constexpr const char* kAnew = "make the environment anew at its path, or pack it from there";

/// What one record says.
struct Record {
    std::string package{};
    std::vector<std::string> caches{};  ///< directories that it was installed from
    std::vector<std::string> bound{};   ///< files that contain the path of the environment
};

std::string text_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Whether `path` stays inside of the tree.
bool is_plain(const std::string& path) {
    return !path.empty() && path.front() != '/' && ('/' + path + '/').find("/../") == path.npos;
}

void add_bound_files(const Json& record, std::vector<std::string>& files) {
    const auto data = record.find("paths_data");
    if (data == record.end() || !data->is_object()) return;
    const auto paths = data->find("paths");
    if (paths == data->end() || !paths->is_array()) return;
    for (const Json& entry : *paths) {
        if (!entry.is_object() || text_in(entry, "prefix_placeholder").empty()) continue;
        if (auto path = text_in(entry, "_path"); is_plain(path)) files.push_back(std::move(path));
    }
}

/// Nothing for what is no record.
std::optional<Record> parse_record(const std::string& text) {
    if (!is_shallow(text, kMaxDepth)) return std::nullopt;
    // The list of all files is what makes records large.
    const auto without_files = [](int depth, Json::parse_event_t event, const Json& value) {
        return depth != 1 || event != Json::parse_event_t::key || value != "files";
    };
    const Json json = Json::parse(text, without_files, false);
    if (!json.is_object()) return std::nullopt;
    Record record;
    record.package = text_in(json, "name");
    const auto add_cache = [&](std::string path) {
        if (path.starts_with('/')) record.caches.push_back(std::move(path));
    };
    if (const auto link = json.find("link"); link != json.end() && link->is_object())
        add_cache(text_in(*link, "source"));
    add_cache(text_in(json, "extracted_package_dir"));
    add_bound_files(json, record.bound);
    return record;
}

/// Whether `c` would make the name of a directory longer.
bool is_of_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
}

/// A part of a file.
struct Piece {
    std::string bytes{};
    bool is_begin = true;  ///< nothing is in front of it
    bool is_end = false;   ///< nothing follows it
};

/// Whether the piece has `path` in it, and not as a part of another path. One at its edge is left
/// to the piece that shows what is beside it.
bool names_path(const Piece& piece, const std::string& path) {
    const std::string& bytes = piece.bytes;
    for (auto at = bytes.find(path); at != std::string::npos; at = bytes.find(path, at + 1)) {
        const auto after = at + path.size();
        if (at > 0 ? is_of_name(bytes[at - 1]) : !piece.is_begin) continue;
        if (after < bytes.size() ? !is_of_name(bytes[after]) : piece.is_end) return true;
    }
    return false;
}

/// Whether the regular file at `path` names one of `directories`; nothing when it cannot be told.
std::optional<bool> names_any(const std::string& path,
                              const std::vector<std::string>& directories) {
    const auto file = open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat info {};
    if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
    std::size_t longest = 0;
    for (const auto& directory : directories) longest = std::max(longest, directory.size());
    Piece piece;
    for (off_t position = 0; !piece.is_end;) {
        // With the characters around it, one that lies across two pieces is seen as a whole.
        std::string& bytes = piece.bytes;
        const std::size_t kept = std::min(bytes.size(), longest + 2);
        piece.is_begin = piece.is_begin && kept == bytes.size();
        bytes.erase(0, bytes.size() - kept);
        bytes.resize(kept + kPieceBytes);
        const ssize_t size = ::pread(file->get(), bytes.data() + kept, kPieceBytes, position);
        if (size < 0) return std::nullopt;
        bytes.resize(kept + static_cast<std::size_t>(size));
        position += size;
        piece.is_end = size == 0;
        for (const auto& directory : directories)
            if (names_path(piece, directory)) return true;
    }
    return false;
}

/// The whole record at `path`; "" of one that is too large, or cannot be read.
std::string read_record(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (size > kMaxRecord) return {};
    return read_head(path, static_cast<std::size_t>(size)).value_or("");
}

class CondaCheck {
  public:
    CondaCheck(const Environment& environment, const std::string& prefix)
        : root_(environment.root), prefixes_{prefix} {
        // By another name of the same directory it is found as well.
        if (prefix == root_)
            if (auto real = real_path(root_); real != prefix) prefixes_.push_back(std::move(real));
    }

    void read_records();
    [[nodiscard]] std::vector<Finding> finish(std::vector<OutsideLink>& links);

  private:
    struct Linked {
        std::string first;  ///< the path of one
        std::size_t count = 0;
    };
    void check_files(const std::vector<std::string>& files);
    /// The cache that a target is in, or nullptr.
    [[nodiscard]] const std::string* cache_of(const std::string& target) const;

    const std::string root_;
    std::vector<std::string> prefixes_;
    std::vector<std::string> misplaced_;         ///< files that contain none of the prefixes
    std::map<std::string, std::string> caches_;  ///< names of packages by where they are cached
};

void CondaCheck::check_files(const std::vector<std::string>& files) {
    for (const auto& path : files) {
        if (misplaced_.size() >= kMostFiles) return;
        const auto found = names_any(join(root_, path), prefixes_);
        if (found && !*found) misplaced_.push_back(path);
    }
}

void CondaCheck::read_records() {
    const auto entries = list_directory(root_ + "/conda-meta");
    if (!entries) return;
    for (const FileEntry& entry : *entries) {
        if (entry.kind != Kind::file || conda_package(entry.name).name.empty()) continue;
        const auto record = parse_record(read_record(join(root_ + "/conda-meta", entry.name)));
        if (!record) continue;
        for (const auto& cache : record->caches) caches_.emplace(cache, record->package);
        check_files(record->bound);
    }
}

const std::string* CondaCheck::cache_of(const std::string& target) const {
    for (auto end = target.rfind('/'); end != std::string::npos && end != 0;
         end = target.rfind('/', end - 1)) {
        const auto found = caches_.find(target.substr(0, end));
        if (found != caches_.end()) return &found->first;
    }
    return nullptr;
}

std::vector<Finding> CondaCheck::finish(std::vector<OutsideLink>& links) {
    std::map<std::string, Linked> linked;
    std::erase_if(links, [&](const OutsideLink& link) {
        const std::string* cache = cache_of(link.target);
        if (cache == nullptr) return false;
        Linked& package = linked[*cache];
        if (package.count++ == 0 || link.path < package.first) package.first = link.path;
        return true;
    });
    std::vector<Finding> findings;
    for (const auto& [cache, package] : linked)
        findings.push_back(
            {package.first,
             package.count == 1
                 ? fmt::format("is a link into the package cache, {}", cache)
                 : fmt::format("and {} other files of {} are links into the package cache, {}",
                               package.count - 1, caches_.at(cache), cache),
             "make the environment anew with 'conda create --copy'"});
    if (misplaced_.empty()) return findings;
    const std::string first = *std::min_element(misplaced_.begin(), misplaced_.end());
    findings.push_back(
        {first,
         misplaced_.size() == 1
             ? fmt::format("was installed for another path than {}", prefixes_.front())
             : fmt::format("and {} other files were installed for another path than {}",
                           misplaced_.size() - 1, prefixes_.front()),
         kAnew});
    return findings;
}

}  // namespace

std::vector<Finding> check_conda(const Environment& environment, const std::string& prefix,
                                 std::vector<OutsideLink>& links) {
    CondaCheck check(environment, prefix);
    check.read_records();
    return check.finish(links);
}

}  // namespace squenv::venv
