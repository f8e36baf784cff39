// SPDX-License-Identifier: MIT
// What the packer says: the summary, and lines about what it met.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/finding_lines.h"
#include "cli/package_sizes.h"
#include "squenv/pack.h"
#include "venv/environment.h"

namespace squenv::cli {

/// What is known of the packed tree besides the packer's own report.
struct Surroundings {
    std::optional<venv::Environment> environment;
    std::vector<venv::Finding> findings;
    std::uint64_t version = 0;       ///< that the image is now; 0 when none are kept
    std::vector<PackageSize> sizes;  ///< of the packages of the environment
};

/// The last line names the version, if there is one.
void print_summary(std::ostream& out, const std::string& output, const pack::Report& report,
                   const Surroundings& around);
/// The same and more, as a JSON object.
[[nodiscard]] std::string as_json(const std::string& output, const pack::Report& report,
                                  const Surroundings& around);

/// The files in `findings`; `end` follows each reason.
[[nodiscard]] std::vector<Fault> faults_of(const std::vector<pack::Finding>& findings,
                                           const char* end);
/// At most twenty lines of advice, and one that counts the rest.
[[nodiscard]] std::vector<std::string> advice_lines(const std::vector<venv::Finding>& findings);
/// What the image lacks although it was made. `is_complete` asks for a line for each file.
[[nodiscard]] std::vector<std::string> notes_of(const pack::Report& report, bool is_complete);

}  // namespace squenv::cli
