// SPDX-License-Identifier: MIT
#include "base/environment.h"

#include <cstdlib>

namespace squenv {

std::string environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace squenv
