// SPDX-License-Identifier: MIT
#include "cli/pack_report.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/text.h"
#include "base/units.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

/// More lines of advice than this hide each other; --json has them all.
constexpr std::size_t kMostFindings = 20;
constexpr std::size_t kLargestPackages = 10;

/// Image bytes per source byte, as " (12.3 %)". Says
/// nothing of a tree that is smaller than the smallest image.
std::string ratio(const pack::Report& report) {
    if (report.image_bytes > report.source_bytes) return {};
    return fmt::format(" ({:.1f} %)", 100.0 * static_cast<double>(report.image_bytes) /
                                          static_cast<double>(report.source_bytes));
}

}  // namespace

void print_summary(std::ostream& out, const std::string& output, const pack::Report& report,
                   const Surroundings& around) {
    out << fmt::format("{}: {} inodes in one file, {} of {}{}\n", printable(output), report.inodes,
                       format_size(report.image_bytes), format_size(report.source_bytes),
                       ratio(report));
    if (report.duplicate_files > 0)
        out << fmt::format("{} files with {} are copies of others and stored once\n",
                           report.duplicate_files, format_size(report.duplicate_bytes));
    if (report.hot_files > 0)
        out << fmt::format("{} hot files are stored first\n", report.hot_files);
    if (!around.sizes.empty()) out << "largest packages:\n";
    for (std::size_t i = 0; i < around.sizes.size() && i < kLargestPackages; ++i)
        out << fmt::format("{:>12}  {}\n", format_size(around.sizes[i].bytes),
                           around.sizes[i].name);
    if (around.version > 0)
        out << fmt::format("{}: version {}; 'squenv history {}' shows all\n", printable(output),
                           around.version, printable(output));
}

std::string as_json(const std::string& output, const pack::Report& report,
                    const Surroundings& around) {
    Json json{{"image", output},
              {"image_bytes", report.image_bytes},
              {"source_bytes", report.source_bytes},
              {"inodes", report.inodes},
              {"files", report.files},
              {"directories", report.directories},
              {"duplicate_files", report.duplicate_files},
              {"duplicate_bytes", report.duplicate_bytes},
              {"blocks", report.blocks},
              {"fragment_blocks", report.fragment_blocks},
              {"raw_blocks", report.raw_blocks},
              {"hot_files", report.hot_files},
              {"lost_xattrs", report.lost_xattrs},
              {"clamped_mtimes", report.clamped_mtimes}};
    if (around.version > 0) json["version"] = around.version;
    json["left_out"] = Json::array();
    for (const auto& finding : report.left_out)
        json["left_out"].push_back({{"path", finding.path}, {"reason", finding.reason}});
    json["findings"] = Json::array();
    for (const auto& finding : around.findings)
        json["findings"].push_back(
            {{"path", finding.path}, {"reason", finding.reason}, {"advice", finding.advice}});
    json["largest_packages"] = Json::array();
    for (std::size_t i = 0; i < around.sizes.size() && i < kLargestPackages; ++i)
        json["largest_packages"].push_back(
            {{"name", around.sizes[i].name}, {"bytes", around.sizes[i].bytes}});
    if (around.environment)
        json["python"] = {{"environment", venv::kind_text(around.environment->kind)},
                          {"version", around.environment->python_version},
                          {"home", around.environment->home},
                          {"relocatable", around.environment->is_relocatable},
                          {"system_site_packages", around.environment->has_system_packages}};
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<Fault> faults_of(const std::vector<pack::Finding>& findings, const char* end) {
    std::vector<Fault> faults;
    for (const auto& finding : findings) faults.push_back({finding.path, finding.reason + end});
    return faults;
}

std::vector<std::string> advice_lines(const std::vector<venv::Finding>& findings) {
    std::vector<Fault> faults;
    for (const auto& finding : findings)
        faults.push_back({finding.path, finding.reason + "; " + finding.advice});
    auto lines = finding_lines(faults, false);
    if (lines.size() <= kMostFindings) return lines;
    const std::size_t more = lines.size() - kMostFindings;
    lines.resize(kMostFindings);
    lines.push_back(fmt::format("and {} more findings; --json lists them all", more));
    return lines;
}

std::vector<std::string> notes_of(const pack::Report& report, bool is_complete) {
    auto notes = finding_lines(faults_of(report.left_out, "; left out"), is_complete);
    if (report.lost_xattrs > 0)
        notes.push_back(
            fmt::format("{} extended attributes such as {} do not fit into squashfs; left out",
                        report.lost_xattrs, report.lost_xattr_example));
    if (report.clamped_mtimes > 0)
        notes.push_back(
            fmt::format("{} times of files were changed to fit", report.clamped_mtimes));
    if (!report.access_note.empty()) notes.push_back(printable(report.access_note));
    return notes;
}

}  // namespace squenv::cli
