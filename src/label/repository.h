// SPDX-License-Identifier: MIT
// Repositories of uenvs on disk: a directory with index.db and images/SHA256/store.squashfs. They
// are only read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "label/label.h"

namespace squenv::label {

struct Repository {
    std::string name{};
    std::string path{};
    int priority = 10;  ///< a lower one is searched earlier
};

/// An image of a repository under one of its labels.
struct Record {
    Label label{};  ///< all of its parts; only the digest is known without index.db
    std::string sha256{};
    std::string id{};  ///< the first 16 digits of `sha256`
    std::string date{};
    std::uint64_t size_bytes = 0;
    std::string image{};  ///< the path of the image file
};

/// Every record that fits, in the order of the repositories. `is_partial`: the name of the label
/// may be the begin of one. A digest is found by the name of its directory, too. Errors: those of
/// index.db: environment (SQLite is missing), corrupt, denied, io.
[[nodiscard]] Result<std::vector<Record>> list_records(const std::vector<Repository>& repositories,
                                                       const Label& label, bool is_partial);

/// The image that `label` means: that of the first repository with a record that fits. Nothing when
/// none does. Errors: as above; invalid_argument (several images, which the error lists).
[[nodiscard]] Result<std::optional<Record>> find_record(const std::vector<Repository>& repositories,
                                                        const Label& label);

}  // namespace squenv::label
