// SPDX-License-Identifier: MIT
// Which image files the mounts of this user on this node show.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace squenv::cli {

/// Asks the mounts at the first question, and remembers what they say. A mount that does not answer
/// is taken to show the file at the path that the mount table has for it.
class MountedImages {
  public:
    bool operator()(const std::string& path, std::uint64_t device, std::uint64_t inode);

  private:
    struct Known {
        std::set<std::pair<std::uint64_t, std::uint64_t>> files{};  ///< device and inode
        std::set<std::string> paths{};
    };
    static Known ask();
    std::shared_ptr<const Known> known_{};
};

}  // namespace squenv::cli
