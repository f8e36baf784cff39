// SPDX-License-Identifier: MIT
// A tar archive as the source of an image: a file of any compression libarchive knows, or a pipe.
#pragma once

#include <memory>
#include <string>

#include "pack/source.h"

namespace squenv::pack {

/// Opens the archive at `path`, "-" for the standard input. Contents are spooled to an unnamed
/// file in `spool_directory`, because an image is laid out in another order than an archive.
/// The options must outlive the source. Errors: not_found, denied, unsupported (built without
/// libarchive), corrupt.
[[nodiscard]] Result<std::unique_ptr<Source>> open_tar_source(const std::string& path,
                                                              const std::string& spool_directory,
                                                              const Options& options);

}  // namespace squenv::pack
