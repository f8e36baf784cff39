// SPDX-License-Identifier: MIT
#include "cli/bench_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace squenv::cli {

namespace {

std::uint64_t total_of(const BenchRow& row) {
    std::uint64_t total = 0;
    for (const auto& [kind, count] : row.requests) total += count;
    return total;
}

}  // namespace

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::uint64_t metadata_count(const std::map<std::string, std::uint64_t>& requests) {
    std::uint64_t count = 0;
    for (const char* kind : {"lookup", "getattr", "readlink", "opendir", "readdir", "readdirplus",
                             "getxattr", "listxattr", "access", "statfs"})
        if (const auto found = requests.find(kind); found != requests.end()) count += found->second;
    return count;
}

std::string as_table(const BenchReport& report) {
    std::string out =
        fmt::format("{}, {} at {}\n{}\n", report.image, format_size(report.image_bytes),
                    report.mountpoint, report.command);
    out +=
        fmt::format("{} metadata operations, {} files and {} read\n\n", report.metadata_operations,
                    report.files_read, format_size(report.bytes_read));
    out += fmt::format("{:<22} {:>10} {:>10} {:>10} {:>9}\n", "", "median", "best", "worst",
                       "requests");
    for (const BenchRow& row : report.rows) {
        const auto [best, worst] = std::minmax_element(row.seconds.begin(), row.seconds.end());
        out += fmt::format("{:<22} {:>8.3f} s {:>8.3f} s {:>8.3f} s {:>9}\n", row.name,
                           median(row.seconds), *best, *worst,
                           row.requests.empty() ? "" : std::to_string(total_of(row)));
    }
    return out;
}

std::string as_json(const BenchReport& report) {
    nlohmann::ordered_json json{{"image", report.image},
                                {"image_bytes", report.image_bytes},
                                {"mountpoint", report.mountpoint},
                                {"command", report.command},
                                {"metadata_operations", report.metadata_operations},
                                {"files_read", report.files_read},
                                {"bytes_read", report.bytes_read}};
    json["rows"] = nlohmann::ordered_json::array();
    for (const BenchRow& row : report.rows)
        json["rows"].push_back({{"name", row.name},
                                {"explanation", row.explanation},
                                {"median_seconds", median(row.seconds)},
                                {"seconds", row.seconds},
                                {"requests_by_kind", row.requests}});
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace squenv::cli
