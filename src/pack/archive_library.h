// SPDX-License-Identifier: MIT
// libarchive, loaded when the first archive is read. Linked, it and what it depends on (libxml2,
// ICU, nettle) would take every start of the program 2.5 ms of processor time; a rank that joins a
// mount has 5 ms for everything.
#pragma once

#include "base/result.h"

namespace squenv::pack {

/// To be called before the first function of <archive.h>. Thread-safe.
/// Errors: environment (it is not installed), limit (no memory).
[[nodiscard]] Status load_archive_library();

}  // namespace squenv::pack
