// SPDX-License-Identifier: MIT
#include "diff/files.h"

#include <algorithm>
#include <string_view>

#include "base/cpus.h"
#include "diff/content.h"
#include "image/walk.h"

namespace squenv::diff {

namespace {

struct Object {
    std::string path;
    image::Inode inode;
};

/// What is in a directory follows it at once: "a", "a/b", "a-b".
bool is_before(std::string_view a, std::string_view b) {
    const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [&](char x, char y) { return rank(x) < rank(y); });
}

Result<std::vector<Object>> objects_of(const image::Image& image) {
    std::vector<Object> objects;
    Status status;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        objects.push_back({path.empty() ? "." : path, inode});
        return true;
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        status = with_context(error, path.empty() ? "." : path);
        return false;
    };
    image::walk(image, image.root(), visitor);
    SQUENV_TRY(status);
    // The root stays the first.
    std::sort(objects.begin() + 1, objects.end(),
              [](const Object& a, const Object& b) { return is_before(a.path, b.path); });
    return objects;
}

Result<FileSide> side_of(const image::Image& image, const Object& object) {
    FileSide side{object.inode.type, object.inode.mode};
    if (object.inode.is_file()) side.size_bytes = object.inode.size_bytes;
    side.device = object.inode.device;
    if (!object.inode.is_symlink()) return side;
    auto target = image.read_link(object.inode);
    if (!target) return with_context(std::move(target).error(), object.path);
    side.target = std::move(*target);
    return side;
}

/// Collects what differs, except for the contents, which are compared together at the end.
class FileComparison {
  public:
    FileComparison(const image::Image& before, const image::Image& after)
        : before_(before), after_(after) {}

    [[nodiscard]] Status merge(const std::vector<Object>& before, const std::vector<Object>& after);
    [[nodiscard]] Result<std::vector<FileDifference>> finish();

  private:
    [[nodiscard]] Status compare(const Object& before, const Object& after);

    const image::Image& before_;
    const image::Image& after_;
    std::vector<FileDifference> differences_;
    std::vector<FilePair> pairs_;
    std::vector<std::size_t> places_;  ///< of the difference that each pair may become
};

Status FileComparison::compare(const Object& before, const Object& after) {
    SQUENV_TRY_ASSIGN(auto one, side_of(before_, before));
    SQUENV_TRY_ASSIGN(auto other, side_of(after_, after));
    const bool has_same_size = before.inode.is_file() && after.inode.is_file() &&
                               before.inode.size_bytes == after.inode.size_bytes;
    if (!has_same_size && one == other) return {};
    // What only the content may tell stays until that is known.
    if (has_same_size) {
        pairs_.push_back({before.path, before.inode, after.inode});
        places_.push_back(differences_.size());
    }
    differences_.push_back({before.path, std::move(one), std::move(other)});
    return {};
}

Status FileComparison::merge(const std::vector<Object>& before, const std::vector<Object>& after) {
    SQUENV_TRY(compare(before.front(), after.front()));
    auto a = before.begin() + 1;
    auto b = after.begin() + 1;
    while (a != before.end() || b != after.end()) {
        if (b == after.end() || (a != before.end() && is_before(a->path, b->path))) {
            SQUENV_TRY_ASSIGN(auto side, side_of(before_, *a));
            differences_.push_back({a->path, std::move(side)});
            ++a;
        } else if (a == before.end() || is_before(b->path, a->path)) {
            SQUENV_TRY_ASSIGN(auto side, side_of(after_, *b));
            differences_.push_back({b->path, {}, std::move(side)});
            ++b;
        } else {
            SQUENV_TRY(compare(*a++, *b++));
        }
    }
    return {};
}

Result<std::vector<FileDifference>> FileComparison::finish() {
    SQUENV_TRY(compare_contents(before_, after_, pairs_, available_cpus()));
    for (std::size_t i = 0; i < pairs_.size(); ++i)
        differences_[places_[i]].has_other_content = pairs_[i].is_different;
    std::erase_if(differences_, [](const FileDifference& difference) {
        return !difference.has_other_content && difference.before == difference.after;
    });
    return std::move(differences_);
}

}  // namespace

Result<std::vector<FileDifference>> compare_files(const image::Image& before,
                                                  const image::Image& after) {
    SQUENV_TRY_ASSIGN(auto old_objects, objects_of(before));
    SQUENV_TRY_ASSIGN(auto new_objects, objects_of(after));
    FileComparison comparison(before, after);
    SQUENV_TRY(comparison.merge(old_objects, new_objects));
    old_objects.clear();
    new_objects.clear();
    return comparison.finish();
}

}  // namespace squenv::diff
