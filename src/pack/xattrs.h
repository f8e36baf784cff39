// SPDX-License-Identifier: MIT
// Extended attributes: read from the source, each distinct set kept once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace squenv::pack {

struct XattrPair {
    std::uint16_t prefix_id = 0;  ///< as format::xattr_prefix() numbers them
    std::string name;             ///< without the prefix
    std::string value;
    auto operator<=>(const XattrPair&) const = default;  // NOLINT(modernize-use-nullptr)
};
/// Sorted by prefix and name.
using XattrSet = std::vector<XattrPair>;

/// What squashfs has no place for.
struct LostXattrs {
    std::uint64_t count = 0;
    std::string example;  ///< the smallest name, so that it does not depend on the order
};

/// The distinct sets. intern() and lose() are thread-safe; numbers depend on the order of calls,
/// so the xattr table is written in the order of the inodes instead.
class XattrSets {
  public:
    XattrSets() : mutex_(std::make_unique<std::mutex>()) {}

    /// The number of `set`, which is not empty.
    [[nodiscard]] std::uint32_t intern(XattrSet set);
    void lose(const std::string& name);

    [[nodiscard]] const XattrSet& at(std::uint32_t index) const { return *sets_[index]; }
    [[nodiscard]] std::size_t size() const { return sets_.size(); }
    [[nodiscard]] const LostXattrs& lost() const { return lost_; }

  private:
    std::unique_ptr<std::mutex> mutex_;  ///< protects everything below
    std::vector<std::unique_ptr<XattrSet>> sets_;
    std::unordered_map<std::string, std::uint32_t> index_;  ///< by serialised set
    LostXattrs lost_;
};

/// Adds one attribute with its full name to `set`, or counts it as lost. security.selinux is left
/// out uncounted, because a label belongs to the host that gave it.
void add_xattr(XattrSet& set, XattrSets& sets, const std::string& name,
               std::optional<std::string> value);

/// The attributes of the object at `path` (the link itself for symlinks). Those that cannot be
/// stored are counted in `sets`.
[[nodiscard]] XattrSet read_xattrs(const std::string& path, XattrSets& sets);

}  // namespace squenv::pack
