// SPDX-License-Identifier: MIT
// Of a static build: libarchive is part of the program.
#include "pack/archive_library.h"

namespace squenv::pack {

Status load_archive_library() {
    return {};
}

}  // namespace squenv::pack
