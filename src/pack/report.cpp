// SPDX-License-Identifier: MIT
#include "pack/report.h"

#include <algorithm>
#include <map>

namespace squenv::pack {

namespace {

NodeId find_directory(const Tree& tree, std::string_view path) {
    NodeId at = kRootNode;
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), name.size() + 1));
        const Node& directory = tree.at(at);
        at = kNoNode;
        for (std::uint32_t i = 0; i < directory.child_count; ++i)
            if (tree.at(directory.first_child + i).name_view() == name)
                at = directory.first_child + i;
        if (at == kNoNode) break;
    }
    return at;
}

}  // namespace

void count_files(const Contents& contents, Report& report) {
    report.files = 0;
    report.source_bytes = 0;
    for (const Content& content : contents.files) {
        if (content.has_failed) continue;
        ++report.files;
        report.source_bytes += content.size_bytes;
    }
}

void count_directories(const Tree& tree, Report& report) {
    report.directories = 0;
    for_each_directory_children_first(tree, [&](NodeId) { ++report.directories; });
}

void count_blocks(const Stored& stored, const Contents& contents, Report& report) {
    report.duplicate_files = stored.duplicate_files;
    report.duplicate_bytes = stored.duplicate_bytes;
    report.blocks = stored.blocks;
    report.fragment_blocks = contents.fragments.size();
    report.raw_blocks = stored.raw_blocks;
    report.block_bytes = stored.block_bytes;
}

std::vector<Size> sizes_in(const Tree& tree, const Contents& contents, const std::string& path) {
    const NodeId directory = path.empty() ? kNoNode : find_directory(tree, path);
    if (directory == kNoNode) return {};
    std::map<NodeId, std::uint64_t> sizes;
    for (const Content& content : contents.files) {
        NodeId entry = content.node;
        while (entry != kRootNode && tree.at(entry).parent != directory)
            entry = tree.at(entry).parent;
        if (entry != kRootNode) sizes[entry] += content.size_bytes;
    }
    std::vector<Size> sorted;
    for (const auto& [entry, bytes] : sizes)
        sorted.push_back({std::string(tree.at(entry).name_view()), bytes});
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Size& a, const Size& b) { return a.bytes > b.bytes; });
    return sorted;
}

}  // namespace squenv::pack
