// SPDX-License-Identifier: MIT
// index.db of a repository of uenvs, by SQLite. That is loaded when the first label is looked up: a
// rank that starts with a thousand others does without. Private to this module.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "label/repository.h"

namespace squenv::label {

/// The records that fit `label`, sorted. `is_partial`: its name may be the begin of one. A name
/// that can be the begin of a digest stands for that, too, whatever else the label has. Errors:
/// environment (SQLite is missing), corrupt, denied, io.
[[nodiscard]] Result<std::vector<Record>> query_records(const std::string& database,
                                                        const Label& label, bool is_partial);

}  // namespace squenv::label
