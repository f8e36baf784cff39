// SPDX-License-Identifier: MIT
// What `squenv bench` measured, and the ways to show it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace squenv::cli {

/// One way to have the tree, and how long the command took with it.
struct BenchRow {
    std::string name;
    std::string explanation;
    std::vector<double> seconds{};  ///< in the order of the rounds
    /// Requests of the last round that reached the daemon, without those of the tree walker, by
    /// kind; empty for directories.
    std::map<std::string, std::uint64_t> requests{};
    std::uint64_t walker_requests = 0;  ///< beside the command, in the same round
    std::uint64_t image_reads = 0;      ///< that reached the storage of the image, in that round
};

/// What a first run would take where each operation on the storage takes some time. An estimate
/// from the counts: the operations follow each other, and nothing else is slower.
struct BenchEstimate {
    double operation_seconds = 0;
    double directory_seconds = 0;  ///< 0: the directory was not timed
    double image_seconds = 0;
};

struct BenchReport {
    std::string image;
    std::string mountpoint;
    std::string command;
    std::uint64_t image_bytes = 0;
    /// Requests for names, attributes and listings that the command causes on its first run: what
    /// a file server would be asked.
    std::uint64_t metadata_operations = 0;
    std::uint64_t files_read = 0;
    std::uint64_t bytes_read = 0;
    std::vector<BenchRow> rows{};
};

[[nodiscard]] std::vector<BenchEstimate> estimates(const BenchReport& report);
/// Of all kinds, of the command.
[[nodiscard]] std::uint64_t request_count(const BenchRow& row);
[[nodiscard]] double median(std::vector<double> values);
/// Requests that are about names and attributes, not content.
[[nodiscard]] std::uint64_t metadata_count(const std::map<std::string, std::uint64_t>& requests);

[[nodiscard]] std::string as_table(const BenchReport& report);
[[nodiscard]] std::string as_json(const BenchReport& report);
/// One page that needs nothing else: styles and plots are in it.
[[nodiscard]] std::string as_page(const BenchReport& report);

}  // namespace squenv::cli
