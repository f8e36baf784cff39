// SPDX-License-Identifier: MIT
#include "cli/hot_touches.h"

#include <cerrno>
#include <utility>

#include "appendix/appendix.h"
#include "image/first_paths.h"
#include "trace/trace.h"

namespace squenv::cli {

Result<std::vector<Touch>> load_touches(const std::vector<std::string>& files) {
    trace::Trace merged;
    for (const std::string& file : files) {
        auto next = trace::load(file);
        if (!next && next.error().sys_errno == ENOENT)
            next.error().hint = "'squenv run --record FILE' writes one";
        if (!next) return tl::unexpected(std::move(next).error());
        merged = trace::merge(merged, *next);
    }
    return std::move(merged.items);
}

Result<std::vector<Touch>> recorded_touches(const image::Image& image) {
    using Kind = appendix::HotItem::Kind;
    const auto recorded = image.hot_list();
    std::vector<Touch> touches;
    if (!recorded) return touches;
    image::PathsByInode paths;
    for (const auto& item : *recorded)
        if (item.kind == Kind::range) paths.try_emplace(item.reference);
    SQUENV_TRY(image::find_first_paths(image, paths));
    for (const appendix::HotItem& item : *recorded) {
        switch (item.kind) {
            case Kind::directory: touches.push_back({Touch::Use::list, item.path}); break;
            case Kind::missing: touches.push_back({Touch::Use::miss, item.path}); break;
            case Kind::range:
                if (const std::string& path = paths.at(item.reference); !path.empty())
                    touches.push_back({Touch::Use::read, path, item.offset, item.size_bytes});
                break;
        }
    }
    return touches;
}

}  // namespace squenv::cli
