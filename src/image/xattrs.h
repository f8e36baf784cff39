// SPDX-License-Identifier: MIT
// Extended attributes, values in line and out of line.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image/inode.h"
#include "image/lookup_table.h"
#include "image/metadata.h"

namespace squenv::image {

/// Thread-safe. Attributes with a prefix the format does not define are skipped.
class Xattrs {
  public:
    /// An image without attributes.
    Xattrs() = default;
    Xattrs(const LookupTable& sets, const MetadataStore& store, const MetadataRegion& pairs)
        : sets_(&sets), store_(&store), pairs_(pairs) {}

    [[nodiscard]] bool has_any() const { return sets_ != nullptr; }
    /// Full names in stored order. Errors: corrupt, io, limit (more than the kernel takes).
    [[nodiscard]] Result<std::vector<std::string>> names(const Inode& inode) const;
    /// The value of `name`, or nothing. Errors: corrupt, io.
    [[nodiscard]] Result<std::optional<ByteVector>> value(const Inode& inode,
                                                          const std::string& name) const;
    /// Called with a name and its value; false ends the visit.
    using Visitor = std::function<bool(const std::string&, const ByteVector&)>;
    /// All attributes in one pass, in stored order; of several with one name the first, as value()
    /// has it. Errors: corrupt, io.
    [[nodiscard]] Status visit(const Inode& inode, const Visitor& visitor) const;

  private:
    /// Called for each name: whether the visitor gets its value.
    using Wanted = std::function<bool(const std::string&)>;
    [[nodiscard]] Status walk(const Inode& inode, const Wanted& wanted,
                              const Visitor& visitor) const;
    [[nodiscard]] Result<ByteVector> read_value(MetadataCursor& cursor, bool is_out_of_line) const;

    const LookupTable* sets_ = nullptr;
    const MetadataStore* store_ = nullptr;
    MetadataRegion pairs_{};
};

}  // namespace squenv::image
