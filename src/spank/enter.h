// SPDX-License-Identifier: MIT
#pragma once

#include "spank/helper.h"

#pragma GCC visibility push(hidden)

/// Moves the calling process, which has one thread, to where the images of `answer` are, and keeps
/// what it has to keep open beyond exec. NULL, or the step that failed; errno has the reason.
const char* squenv_enter(const struct squenv_answer* answer);

#pragma GCC visibility pop
