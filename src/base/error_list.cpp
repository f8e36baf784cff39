// SPDX-License-Identifier: MIT
#include "base/error_list.h"

#include <string_view>
#include <utility>

namespace squenv {

namespace {

/// Begin and end of a text that is too long: a path begins it, the reason ends it.
std::string shortened(const std::string& text) {
    constexpr std::size_t kMost = ObjectError::kMaxContext;
    if (text.size() <= kMost) return text;
    constexpr std::string_view kGap = " ... ";
    constexpr std::size_t kEnd = (kMost - kGap.size()) / 2;
    return text.substr(0, kMost - kGap.size() - kEnd).append(kGap) +
           text.substr(text.size() - kEnd);
}

}  // namespace

Error ObjectError::joined() const {
    Error whole = path.empty() ? error : with_context(error, path).value();
    whole.context = shortened(whole.context);
    return whole;
}

void ErrorList::add(const Error& error) {
    keep({}, error);
}

void ErrorList::add(const std::string& path, const Error& error) {
    keep(path.empty() ? "/" : path, error);
}

void ErrorList::keep(const std::string& path, const Error& error) {
    const std::lock_guard lock(mutex_);
    if (++count_ > kMaxKept) return;
    kept_.push_back({shortened(path), error});
    kept_.back().error.context = shortened(error.context);
}

std::uint64_t ErrorList::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

std::vector<ObjectError> ErrorList::take_objects() {
    const std::lock_guard lock(mutex_);
    return std::exchange(kept_, {});
}

std::vector<Error> ErrorList::take() {
    std::vector<Error> all;
    for (ObjectError& one : take_objects()) all.push_back(std::exchange(one, {}).joined());
    return all;
}

}  // namespace squenv
