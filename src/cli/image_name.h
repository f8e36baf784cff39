// SPDX-License-Identifier: MIT
// What a name of an image on the command line stands for.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/image_list.h"
#include "label/settings.h"

namespace squenv::cli {

/// What labels are looked up with: the environment of this process.
[[nodiscard]] label::Sources label_sources();

/// `listed` with the file that its name stands for. A file of that name is itself. Else a name that
/// begins with none of "/", "." and "~" may be a label of a uenv, see label/label.h. Then its tag
/// may have been taken for a path. What is neither stays as it is: opening it tells why.
/// Errors: those of load_settings() and find_record(); not_found (no such label).
[[nodiscard]] Result<ListedImage> find_image(ListedImage listed,
                                             const label::Sources& sources = label_sources());

/// The file that `name` stands for.
[[nodiscard]] Result<std::string> image_file(const std::string& name);

/// The record that `label` means. Errors: as find_image().
[[nodiscard]] Result<label::Record> find_label(const label::Label& label,
                                               const label::Settings& settings);

}  // namespace squenv::cli
