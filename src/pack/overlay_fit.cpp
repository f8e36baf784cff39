// SPDX-License-Identifier: MIT
#include "pack/overlay_fit.h"

#include <sys/stat.h>

#include <algorithm>

#include "format/tables.h"

namespace squenv::pack {

namespace {

/// A whiteout, by which an upper layer hides a name of a lower one.
bool is_whiteout(const Node& node) {
    return node.type == format::InodeType::char_device && node.device == 0;
}

/// To its owner, as whom the only user of a mount sees what is closed to others, or to its group.
bool is_closed(const Node& node) {
    if (node.type != format::InodeType::directory) return false;
    const bool is_closed_to_group = (node.mode & (S_IRGRP | S_IROTH)) == S_IROTH;
    return (node.mode & S_IRUSR) == 0 || is_closed_to_group;
}

/// user.overlay.opaque and its like; trusted for mounts of root.
bool is_mark(const XattrPair& pair) {
    const std::string prefix = format::xattr_prefix(pair.prefix_id).value_or("");
    return (prefix == "user." || prefix == "trusted.") && pair.name.starts_with("overlay.");
}

}  // namespace

bool fits_overlay(const Scanned& scanned) {
    for (std::uint32_t i = 0; i < scanned.xattrs.size(); ++i)
        if (const XattrSet& set = scanned.xattrs.at(i);
            std::any_of(set.begin(), set.end(), is_mark))
            return false;
    const auto& nodes = scanned.tree.nodes;
    return std::none_of(nodes.begin(), nodes.end(),
                        [](const Node& node) { return is_whiteout(node) || is_closed(node); });
}

}  // namespace squenv::pack
