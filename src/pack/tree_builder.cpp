// SPDX-License-Identifier: MIT
#include "pack/tree_builder.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "format/bounds.h"
#include "format/directory.h"

namespace squenv::pack {

namespace {

using format::InodeType;

constexpr std::uint32_t kRootName = 0;
/// Enough for a small archive; a power of two.
constexpr std::size_t kFirstSlots = 256;

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

TreeBuilder::TreeBuilder() : slots_(kFirstSlots, kNoName) {
    entries_.push_back({});
}

bool TreeBuilder::is_directory(NameId entry) const {
    const std::uint32_t node = entries_[entry].node;
    return node == kImplied || nodes_[node].type == InodeType::directory;
}

std::size_t TreeBuilder::slot_of(NameId directory, std::string_view name) const {
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;  // 2^64 by the golden ratio
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = (hasher_.of(as_bytes(name)).low + directory * kOdd) & mask;
    while (slots_[slot] != kNoName) {
        const Entry& entry = entries_[slots_[slot]];
        if (entry.parent == directory && entry.name_view() == name) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

void TreeBuilder::grow() {
    slots_.assign(slots_.size() * 2, kNoName);
    for (NameId id = kRootName + 1; id < entries_.size(); ++id)
        slots_[slot_of(entries_[id].parent, entries_[id].name_view())] = id;
}

Result<TreeBuilder::NameId> TreeBuilder::enter(NameId directory, std::string_view name) {
    const std::size_t slot = slot_of(directory, name);
    if (slots_[slot] != kNoName) return slots_[slot];
    if (entries_.size() >= kNoName) return fail(Errc::limit, "more than 4294967294 files");
    const auto id = static_cast<NameId>(entries_.size());
    entries_.push_back(
        {text_.store(name), directory, kImplied, static_cast<std::uint8_t>(name.size())});
    slots_[slot] = id;
    if (entries_.size() * 2 > slots_.size()) grow();
    return id;
}

Result<Node*> TreeBuilder::at(std::string_view path) {
    NameId id = kRootName;
    std::string_view rest = path;
    for (auto name = next_name(rest); !name.empty(); name = next_name(rest)) {
        if (!format::check_name(name) || name.size() > format::kMaxName)
            return fail(Errc::invalid_argument, std::string(path) + ": not a name for a file");
        if (!is_directory(id))
            return fail(Errc::invalid_argument,
                        std::string(path) + ": lies inside what is not a directory");
        SQUENV_TRY_ASSIGN(id, enter(id, name));
    }
    std::uint32_t& node = entries_[id].node;
    if (node == kImplied) {
        node = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back(implied_directory());
    }
    return &nodes_[node];
}

const Node* TreeBuilder::find(std::string_view path) const {
    static const Node implied = implied_directory();
    NameId id = kRootName;
    for (auto name = next_name(path); !name.empty(); name = next_name(path)) {
        id = slots_[slot_of(id, name)];
        if (id == kNoName) return nullptr;
    }
    const std::uint32_t node = entries_[id].node;
    return node == kImplied ? &implied : &nodes_[node];
}

Node TreeBuilder::node_of(NameId entry) const {
    const Entry& made = entries_[entry];
    Node node = made.node == kImplied ? implied_directory() : nodes_[made.node];
    node.name = made.name;
    node.name_size = made.name_size;
    return node;
}

Tree TreeBuilder::build() {
    slots_.assign(kFirstSlots, kNoName);
    slots_.shrink_to_fit();
    // The children of an entry are [begin[entry], begin[entry + 1]) of `children`.
    std::vector<std::uint32_t> begin(entries_.size() + 1, 0);
    for (NameId id = kRootName + 1; id < entries_.size(); ++id) ++begin[entries_[id].parent];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<NameId> children(entries_.size() - 1);
    for (NameId id = kRootName + 1; id < entries_.size(); ++id)
        children[--begin[entries_[id].parent]] = id;

    Tree tree;
    tree.devices.push_back(0);
    tree.nodes.push_back(node_of(kRootName));
    // Breadth first: the children of one directory follow each other.
    std::vector<NameId> origin{kRootName};
    for (EntryId id = 0; id < tree.nodes.size(); ++id) {
        // A file may have taken the place of a directory; what was inside went with it.
        if (tree.at(id).type != InodeType::directory) continue;
        const auto first = children.begin() + begin[origin[id]];
        const auto last = children.begin() + begin[origin[id] + 1];
        std::sort(first, last, [this](NameId a, NameId b) {
            return entries_[a].name_view() < entries_[b].name_view();
        });
        tree.at(id).first_child = static_cast<EntryId>(tree.nodes.size());
        tree.at(id).child_count = static_cast<std::uint32_t>(last - first);
        for (auto child = first; child != last; ++child) {
            tree.nodes.push_back(node_of(*child));
            tree.nodes.back().parent = id;
            origin.push_back(*child);
        }
    }
    tree.text = std::move(text_);
    entries_.assign(1, Entry());
    nodes_.clear();
    return tree;
}

}  // namespace squenv::pack
