// SPDX-License-Identifier: MIT
#pragma once

#include "pack/source.h"

namespace squenv::pack {

/// Whether an overlay file system above the packed tree shows all of it. There are no character
/// devices 0, which would hide names, and no extended attributes that overlayfs uses itself. Each
/// directory can be read by its owner, and by its group when others can: overlayfs looks for such
/// attributes at it.
[[nodiscard]] bool fits_overlay(const Scanned& scanned);

}  // namespace squenv::pack
