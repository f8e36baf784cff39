// SPDX-License-Identifier: MIT
#include "cli/bench_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace squenv::cli {

std::uint64_t request_count(const BenchRow& row) {
    std::uint64_t total = 0;
    for (const auto& [kind, count] : row.requests) total += count;
    return total;
}

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

std::vector<BenchEstimate> estimates(const BenchReport& report) {
    // The directory is asked for names and attributes, and to open and to read each file.
    const auto directory_operations =
        static_cast<double>(report.metadata_operations + 2 * report.files_read);
    std::vector<BenchEstimate> all;
    for (const double seconds : {0.0002, 0.001, 0.005}) {
        BenchEstimate estimate{seconds};
        for (const BenchRow& row : report.rows) {
            if (row.requests.empty() && estimate.directory_seconds == 0)
                estimate.directory_seconds = median(row.seconds) + seconds * directory_operations;
            if (!row.requests.empty() && estimate.image_seconds == 0)
                estimate.image_seconds =
                    median(row.seconds) + seconds * static_cast<double>(row.image_reads);
        }
        all.push_back(estimate);
    }
    return all;
}

std::string as_table(const BenchReport& report) {
    std::string out =
        fmt::format("{}, {} at {}\n{}\n", report.image, format_size(report.image_bytes),
                    report.mountpoint, report.command);
    out +=
        fmt::format("{} metadata operations, {} files and {} read\n\n", report.metadata_operations,
                    report.files_read, format_size(report.bytes_read));
    out += fmt::format("{:<22} {:>10} {:>10} {:>10} {:>9} {:>9}\n", "", "median", "best", "worst",
                       "requests", "ahead");
    for (const BenchRow& row : report.rows) {
        const auto [best, worst] = std::minmax_element(row.seconds.begin(), row.seconds.end());
        out += fmt::format("{:<22} {:>8.3f} s {:>8.3f} s {:>8.3f} s {:>9} {:>9}\n", row.name,
                           median(row.seconds), *best, *worst,
                           row.requests.empty() ? "" : std::to_string(request_count(row)),
                           row.requests.empty() ? "" : std::to_string(row.walker_requests));
    }
    out += "\nestimate of a first run where an operation on storage takes\n";
    for (const BenchEstimate& estimate : estimates(report)) {
        out += fmt::format("{:>6} ms:", estimate.operation_seconds * 1000);
        if (estimate.directory_seconds > 0)
            out += fmt::format(" directory {:.1f} s,", estimate.directory_seconds);
        out += fmt::format(" image {:.1f} s\n", estimate.image_seconds);
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
                                {"requests_by_kind", row.requests},
                                {"walker_requests", row.walker_requests},
                                {"image_reads", row.image_reads}});
    json["estimates"] = nlohmann::ordered_json::array();
    for (const BenchEstimate& estimate : estimates(report))
        json["estimates"].push_back({{"operation_seconds", estimate.operation_seconds},
                                     {"directory_seconds", estimate.directory_seconds},
                                     {"image_seconds", estimate.image_seconds}});
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace squenv::cli
