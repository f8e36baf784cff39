// SPDX-License-Identifier: MIT
// What an environment was created from: a part of the manifest of its image.
#pragma once

#include <string>
#include <vector>

namespace squenv {

/// A file or words that said what to install.
struct CreationInput {
    std::string name{};    ///< the path as it was given, or the words themselves
    std::string text{};    ///< the beginning of a text file; "" for a lock and for words
    std::string sha256{};  ///< of the whole file, hexadecimal; "" for words
    bool operator==(const CreationInput&) const = default;
};

struct Creation {
    std::string command{};                ///< as a shell would need it; "" is no creation
    std::vector<CreationInput> inputs{};  ///< in the order in which they were given
    std::vector<std::string> tools{};     ///< each with its version, as "uv 0.9.2"
    bool operator==(const Creation&) const = default;
};

}  // namespace squenv
