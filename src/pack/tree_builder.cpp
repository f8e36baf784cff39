// SPDX-License-Identifier: MIT
#include "pack/tree_builder.h"

#include "format/bounds.h"
#include "format/directory.h"

namespace squenv::pack {

namespace {

using format::InodeType;

Node implied_directory() {
    Node node;
    node.type = InodeType::directory;
    node.mode = 0755;
    return node;
}

/// The next name of `path`, which loses it; empty at the end. "." is skipped.
std::string_view next_name(std::string_view& path) {
    while (!path.empty()) {
        const auto slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
        if (!name.empty() && name != ".") return name;
    }
    return {};
}

}  // namespace

TreeBuilder::TreeBuilder() {
    entries_.push_back({implied_directory(), {}});
}

Result<Node*> TreeBuilder::at(std::string_view path) {
    std::size_t at = 0;
    std::string_view rest = path;
    for (auto name = next_name(rest); !name.empty(); name = next_name(rest)) {
        if (!format::check_name(name) || name.size() > format::kMaxName)
            return fail(Errc::invalid_argument, std::string(path) + ": not a name for a file");
        if (entries_[at].node.type != InodeType::directory)
            return fail(Errc::invalid_argument,
                        std::string(path) + ": lies inside what is not a directory");
        auto& children = entries_[at].children;
        auto child = children.find(name);
        if (child == children.end()) {
            child = children.emplace(std::string(name), entries_.size()).first;
            Entry entry{implied_directory(), {}};
            entry.node.name = text_.store(name);
            entry.node.name_size = static_cast<std::uint8_t>(name.size());
            entries_.push_back(std::move(entry));
        }
        at = child->second;
    }
    return &entries_[at].node;
}

const Node* TreeBuilder::find(std::string_view path) const {
    std::size_t at = 0;
    for (auto name = next_name(path); !name.empty(); name = next_name(path)) {
        const auto child = entries_[at].children.find(name);
        if (child == entries_[at].children.end()) return nullptr;
        at = child->second;
    }
    return &entries_[at].node;
}

Tree TreeBuilder::build() {
    Tree tree;
    tree.devices.push_back(0);
    tree.nodes.push_back(entries_[0].node);
    // Breadth first: the children of one directory come out behind each other.
    std::vector<std::size_t> origin{0};
    for (NodeId id = 0; id < tree.nodes.size(); ++id) {
        // A file may have taken the place of a directory; what was inside went with it.
        if (tree.at(id).type != InodeType::directory) continue;
        const auto& children = entries_[origin[id]].children;
        tree.at(id).first_child = static_cast<NodeId>(tree.nodes.size());
        tree.at(id).child_count = static_cast<std::uint32_t>(children.size());
        for (const auto& [name, entry] : children) {
            tree.nodes.push_back(entries_[entry].node);
            tree.nodes.back().parent = id;
            origin.push_back(entry);
        }
    }
    tree.text = std::move(text_);
    entries_.clear();
    return tree;
}

}  // namespace squenv::pack
