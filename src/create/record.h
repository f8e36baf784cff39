// SPDX-License-Identifier: MIT
// What the image will say about where its content came from.
#pragma once

#include <squenv/creation.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "create/inputs.h"
#include "create/tools.h"

namespace squenv::create {

/// The words as a shell needs them, without secrets.
[[nodiscard]] std::string quoted(const std::vector<std::string>& words);

/// `words` are the user's command. Texts of files are without secrets; of a lock there is the
/// digest alone. Errors: those of reading the files.
[[nodiscard]] Result<Creation> describe(const Inputs& inputs, const Tools& tools,
                                        const std::vector<std::string>& words);

/// Adds the version of the pip in the environment at `tree`, if it has one and `creation` was made
/// with it.
void add_pip(const std::string& tree, Creation& creation);

/// The first regular file or link in `tree` that has `text` in it, relative to the tree; "" when
/// none has.
[[nodiscard]] std::string find_mention(const std::string& tree, const std::string& text);

}  // namespace squenv::create
