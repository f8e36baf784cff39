// SPDX-License-Identifier: MIT
// Python asks of each module that it opens whether it is a terminal, and a FUSE mount answers that
// by a request. A sitecustomize module in PYTHONPATH has it open modules without the question.
#pragma once

#include "base/result.h"

namespace squenv::cli {

/// Puts a directory of this user with that module in front of PYTHONPATH of this process. It is
/// squenv-fast-import in $XDG_RUNTIME_DIR, else squenv-fast-import-UID in $TMPDIR or /tmp. Errors:
/// those of make_private_directory(), limit (no space), when no directory can be had.
[[nodiscard]] Status set_fast_import();

}  // namespace squenv::cli
