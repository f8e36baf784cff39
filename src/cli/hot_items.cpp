// SPDX-License-Identifier: MIT
#include "cli/hot_items.h"

#include <unordered_map>

#include "appendix/appendix.h"
#include "image/walk.h"

namespace squenv::cli {

namespace {

using Kind = pack::HotItem::Kind;

Kind kind_of(trace::Use use) {
    switch (use) {
        case trace::Use::list: return Kind::directory;
        case trace::Use::read: return Kind::range;
        case trace::Use::miss: return Kind::missing;
        case trace::Use::look:
        case trace::Use::link: break;
    }
    return Kind::entry;
}

/// First paths of the inodes that `items` have ranges of.
Result<std::unordered_map<std::uint64_t, std::string>> paths_of(
    const std::vector<appendix::HotItem>& items, const image::Image& image) {
    std::unordered_map<std::uint64_t, std::string> paths;
    for (const auto& item : items)
        if (item.kind == appendix::HotItem::Kind::range) paths.try_emplace(item.reference);
    Status status;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        const auto wanted = paths.find(inode.reference.raw());
        if (wanted != paths.end() && wanted->second.empty()) wanted->second = path;
        return true;
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        status = with_context(error, path);
        return false;
    };
    if (!paths.empty()) image::walk(image, image.root(), visitor);
    SQUENV_TRY(status);
    return paths;
}

}  // namespace

std::vector<pack::HotItem> hot_items_of(const trace::Trace& trace) {
    std::vector<pack::HotItem> items;
    items.reserve(trace.items.size());
    for (const trace::Item& item : trace.items)
        items.push_back({kind_of(item.use), item.path, item.offset, item.size_bytes});
    return items;
}

Result<std::vector<pack::HotItem>> load_hot_items(const std::vector<std::string>& files) {
    trace::Trace merged;
    for (const std::string& file : files) {
        SQUENV_TRY_ASSIGN(const auto next, trace::load(file));
        merged = trace::merge(merged, next);
    }
    return hot_items_of(merged);
}

Result<std::vector<pack::HotItem>> recorded_hot_items(const image::Image& image) {
    const auto recorded = appendix::load_hot_list(
        image.superblock().bytes_used, image.source().size_bytes(),
        [&image](std::uint64_t position, MutableBytes out) {
            return image.source().read_exact(position, out);
        });
    std::vector<pack::HotItem> items;
    if (!recorded) return items;
    SQUENV_TRY_ASSIGN(const auto paths, paths_of(*recorded, image));
    for (const appendix::HotItem& item : *recorded) {
        switch (item.kind) {
            case appendix::HotItem::Kind::directory:
                items.push_back({Kind::directory, item.path, 0, 0});
                break;
            case appendix::HotItem::Kind::missing:
                items.push_back({Kind::missing, item.path, 0, 0});
                break;
            case appendix::HotItem::Kind::range:
                if (const std::string& path = paths.at(item.reference); !path.empty())
                    items.push_back({Kind::range, path, item.offset, item.size_bytes});
                break;
        }
    }
    return items;
}

}  // namespace squenv::cli
