// SPDX-License-Identifier: MIT
#include "daemon/recorded_names.h"

#include <utility>

#include "base/log.h"

namespace squenv::daemon {

std::vector<appendix::HotItem> load_hot_list(const image::Image& image) {
    auto list = image.hot_list();
    if (!list) log::debug("no hot list: {}", list.error().message());
    return list ? std::move(*list) : std::vector<appendix::HotItem>();
}

std::vector<RecordedName> recorded_names(std::vector<appendix::HotItem>& hot,
                                         const fuse::ViewOptions& view) {
    using Kind = appendix::HotItem::Kind;
    std::string prefix = view.subdirectory;
    while (prefix.starts_with('/')) prefix.erase(0, 1);
    while (prefix.ends_with('/')) prefix.pop_back();
    std::vector<RecordedName> names;
    names.reserve(hot.size());
    for (auto& item : hot) {
        if (item.kind == Kind::range) continue;
        const bool is_directory = item.kind == Kind::directory;
        std::string path = std::exchange(item.path, {});
        if (prefix.empty())
            names.push_back({std::move(path), is_directory});
        else if (path.starts_with(prefix + '/'))
            names.push_back({path.substr(prefix.size() + 1), is_directory});
    }
    return names;
}

}  // namespace squenv::daemon
