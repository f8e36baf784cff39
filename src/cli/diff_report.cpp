// SPDX-License-Identifier: MIT
#include "cli/diff_report.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/text.h"
#include "base/units.h"
#include "cli/image_argument.h"
#include "cli/version_changes.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;
using diff::FileDifference;
using diff::FileSide;

void print_packages(std::ostream& out, const ImageDiff& diff) {
    const bool has_other_python = diff.python_before != diff.python_after;
    if (!has_other_python && diff.packages.is_empty()) return;
    out << "packages:\n";
    if (has_other_python)
        out << fmt::format("  ~ Python {} -> {}\n",
                           diff.python_before.empty() ? "?" : printable(diff.python_before),
                           diff.python_after.empty() ? "?" : printable(diff.python_after));
    for (const auto& package : diff.packages.added)
        out << fmt::format("  + {} {}\n", printable(package.name), version_text(package, false));
    for (const auto& package : diff.packages.removed)
        out << fmt::format("  - {} {}\n", printable(package.name), version_text(package, false));
    for (const auto& [before, after] : diff.packages.updated) {
        const bool has_other_build = before.version == after.version;
        out << fmt::format("  ~ {} {} -> {}\n", printable(after.name),
                           version_text(before, has_other_build),
                           version_text(after, has_other_build));
    }
}

/// How many files, and with how many bytes.
struct Total {
    std::size_t files = 0;
    std::uint64_t bytes = 0;

    void add(const FileSide& side) {
        if (side.type == format::InodeType::directory) return;
        ++files;
        bytes += side.size_bytes;
    }
};

/// Whether it is a compiled form of a module, or the directory of such.
bool is_compiled(const std::string& path) {
    return path.ends_with(".pyc") || path == "__pycache__" || path.ends_with("/__pycache__");
}

bool is_directory(const std::optional<FileSide>& side) {
    return side && side->type == format::InodeType::directory;
}

std::string changes_of(const FileDifference& difference) {
    const FileSide& before = *difference.before;
    const FileSide& after = *difference.after;
    std::string text;
    const auto add = [&](const std::string& change) {
        text += (text.empty() ? "" : ", ") + change;
    };
    if (before.type != after.type)
        add(fmt::format("{} -> {}", type_text(before.type), type_text(after.type)));
    if (before.mode != after.mode)
        add(fmt::format("mode {:04o} -> {:04o}", before.mode, after.mode));
    if (before.type != after.type) return text;
    if (before.size_bytes != after.size_bytes)
        add(fmt::format("size {} -> {}", before.size_bytes, after.size_bytes));
    if (before.target != after.target)
        add("target " + printable(before.target) + " -> " + printable(after.target));
    if (before.device != after.device)
        add(fmt::format("device {:#x} -> {:#x}", before.device, after.device));
    if (difference.has_other_content) add("content");
    return text;
}

/// The files, one line each or summarised.
class FileLines {
  public:
    FileLines(std::ostream& out, bool is_complete) : out_(out), is_complete_(is_complete) {}
    void print(const std::vector<FileDifference>& differences);

  private:
    [[nodiscard]] std::size_t print_one(const std::vector<FileDifference>& differences,
                                        std::size_t at);
    void count_compiled(const FileDifference& difference);
    void begin();

    std::ostream& out_;
    const bool is_complete_;
    bool has_begun_ = false;
    std::size_t compiled_added_ = 0;
    std::size_t compiled_removed_ = 0;
    std::size_t compiled_changed_ = 0;
};

void FileLines::begin() {
    if (!std::exchange(has_begun_, true)) out_ << "files:\n";
}

void FileLines::count_compiled(const FileDifference& difference) {
    const auto& side = difference.is_removed() ? difference.before : difference.after;
    if (is_directory(side)) return;
    ++(difference.is_added()     ? compiled_added_
       : difference.is_removed() ? compiled_removed_
                                 : compiled_changed_);
}

/// Prints the line for one difference; returns the place of the next that it does not cover.
std::size_t FileLines::print_one(const std::vector<FileDifference>& differences, std::size_t at) {
    const FileDifference& difference = differences[at++];
    if (!is_complete_ && is_compiled(difference.path)) {
        count_compiled(difference);
        return at;
    }
    begin();
    const std::string path = printable(difference.path);
    if (!difference.is_added() && !difference.is_removed()) {
        out_ << fmt::format("  ~ {}: {}\n", path, changes_of(difference));
        return at;
    }
    const char mark = difference.is_added() ? '+' : '-';
    const auto& side = difference.is_added() ? difference.after : difference.before;
    if (!is_directory(side)) {
        out_ << fmt::format("  {} {}\n", mark, path);
        return at;
    }
    Total total;
    const std::string inside = difference.path + '/';
    for (; !is_complete_ && at < differences.size() && differences[at].path.starts_with(inside);
         ++at)
        total.add(difference.is_added() ? *differences[at].after : *differences[at].before);
    const std::string summary =
        is_complete_ ? ""
                     : fmt::format(" ({} file{}, {})", total.files, total.files == 1 ? "" : "s",
                                   format_size(total.bytes));
    out_ << fmt::format("  {} {}/{}\n", mark, path, summary);
    return at;
}

void FileLines::print(const std::vector<FileDifference>& differences) {
    for (std::size_t at = 0; at < differences.size();) at = print_one(differences, at);
    const std::size_t compiled = compiled_added_ + compiled_removed_ + compiled_changed_;
    if (compiled == 0) return;
    begin();
    out_ << fmt::format("  {} .pyc: {} added, {} removed, {} changed; --all lists them\n", compiled,
                        compiled_added_, compiled_removed_, compiled_changed_);
}

Json to_json(const venv::Package& package) {
    Json json{{"name", package.name}, {"version", package.version}};
    if (!package.build.empty()) json["build"] = package.build;
    return json;
}

Json to_json(const venv::PackageDiff& packages) {
    Json json{{"added", Json::array()}, {"removed", Json::array()}, {"updated", Json::array()}};
    for (const auto& package : packages.added) json["added"].push_back(to_json(package));
    for (const auto& package : packages.removed) json["removed"].push_back(to_json(package));
    for (const auto& [before, after] : packages.updated)
        json["updated"].push_back(
            {{"name", after.name}, {"before", to_json(before)}, {"after", to_json(after)}});
    return json;
}

Json to_json(const std::optional<FileSide>& side) {
    if (!side) return nullptr;
    Json json{{"type", type_text(side->type)}, {"mode", fmt::format("{:04o}", side->mode)}};
    if (side->type == format::InodeType::file) json["size"] = side->size_bytes;
    if (side->type == format::InodeType::symlink) json["target"] = side->target;
    return json;
}

Json to_json(const FileDifference& difference) {
    const char* change = difference.is_added()     ? "added"
                         : difference.is_removed() ? "removed"
                                                   : "changed";
    Json json{{"path", difference.path},
              {"change", change},
              {"before", to_json(difference.before)},
              {"after", to_json(difference.after)}};
    if (difference.before && difference.after) json["content"] = difference.has_other_content;
    return json;
}

}  // namespace

bool ImageDiff::is_empty() const {
    return python_before == python_after && packages.is_empty() && files.empty();
}

void print_diff(std::ostream& out, const ImageDiff& diff, bool is_complete) {
    print_packages(out, diff);
    FileLines(out, is_complete).print(diff.files);
}

std::string diff_as_json(const ImageDiff& diff) {
    Json json{{"before", diff.before},
              {"after", diff.after},
              {"same", diff.is_empty()},
              {"python", {{"before", diff.python_before}, {"after", diff.python_after}}},
              {"packages", to_json(diff.packages)}};
    if (diff.has_files) {
        json["files"] = Json::array();
        for (const auto& difference : diff.files) json["files"].push_back(to_json(difference));
    }
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace squenv::cli
