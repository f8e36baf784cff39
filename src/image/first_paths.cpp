// SPDX-License-Identifier: MIT
#include "image/first_paths.h"

#include "image/walk.h"

namespace squenv::image {

Status find_first_paths(const Image& image, PathsByInode& paths) {
    std::size_t missing = paths.size();
    if (missing == 0) return {};
    Status first_failure;
    WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const Inode& inode) {
        const auto wanted = paths.find(inode.reference.raw());
        if (wanted != paths.end() && wanted->second.empty()) {
            wanted->second = path.empty() ? "." : path;
            --missing;
        }
        return missing != 0;
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        if (first_failure) first_failure = with_context(error, path);
        return true;
    };
    walk(image, image.root(), visitor);
    return first_failure;
}

}  // namespace squenv::image
