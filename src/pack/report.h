// SPDX-License-Identifier: MIT
// Filling in the report, pass by pass.
#pragma once

#include "pack/content.h"
#include "pack/store.h"
#include "pack/tree.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// Files and their bytes, without those that failed.
void count_files(const Contents& contents, Report& report);
/// Directories that are packed, and the root.
void count_directories(const Tree& tree, Report& report);
/// What the content pass stored.
void count_blocks(const Stored& stored, const Contents& contents, Report& report);

}  // namespace squenv::pack
