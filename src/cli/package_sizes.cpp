// SPDX-License-Identifier: MIT
#include "cli/package_sizes.h"

#include <algorithm>
#include <map>

#include "pack/order.h"

namespace squenv::cli {

using pack::EntryId;

std::vector<PackageSize> package_sizes(pack::Tree& tree, const std::string& path) {
    const EntryId directory = tree.find(path);
    if (directory == pack::kNoEntry) return {};
    pack::resolve_hard_links(tree);
    std::map<EntryId, std::uint64_t> sizes;
    for (const EntryId file : pack::order_files(tree, {})) {
        EntryId entry = file;
        while (entry != pack::kRootEntry && tree.at(entry).parent != directory)
            entry = tree.at(entry).parent;
        if (entry != pack::kRootEntry) sizes[entry] += tree.at(file).size_bytes;
    }
    std::vector<PackageSize> sorted;
    for (const auto& [entry, bytes] : sizes)
        sorted.push_back({std::string(tree.at(entry).name_view()), bytes});
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const PackageSize& a, const PackageSize& b) { return a.bytes > b.bytes; });
    return sorted;
}

}  // namespace squenv::cli
