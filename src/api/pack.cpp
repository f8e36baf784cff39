// SPDX-License-Identifier: MIT
#include "squenv/pack.h"

#include <exception>
#include <new>

#include "pack/pack.h"

namespace squenv::pack {

namespace {

PackResult pack_directory(const std::string& directory, const std::string& image,
                          const Options& options) {
    SQUENV_TRY_ASSIGN(const auto source, open_directory(directory, image, options));
    return pack(*source, image, options);
}

}  // namespace

Outcome pack_tree(const std::string& directory, const std::string& image, const Options& options) {
    Outcome outcome;
    try {
        auto report = pack_directory(directory, image, options);
        if (report) {
            outcome.report = std::move(*report);
        } else {
            outcome.error = std::move(report.error().error);
            outcome.findings = std::move(report.error().findings);
        }
    } catch (const std::bad_alloc&) {
        outcome.error = fail_memory(directory).value();
    } catch (const std::exception& exception) {
        // No exception leaves the library.
        outcome.error = Error{Errc::limit, 0, exception.what(), {}};
    }
    return outcome;
}

}  // namespace squenv::pack
