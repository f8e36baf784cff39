// SPDX-License-Identifier: MIT
#include "base/paths.h"

#include <cstdlib>
#include <memory>

namespace squenv {

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

}  // namespace squenv
