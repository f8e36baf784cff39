// SPDX-License-Identifier: MIT
#include "base/error_list.h"

#include <string_view>
#include <utility>

namespace squenv {

namespace {

/// Begin and end of a text that is too long: a path begins it, the reason ends it.
std::string shortened(const std::string& text) {
    if (text.size() <= ErrorList::kMaxContext) return text;
    constexpr std::string_view kGap = " ... ";
    constexpr std::size_t kEnd = (ErrorList::kMaxContext - kGap.size()) / 2;
    return text.substr(0, ErrorList::kMaxContext - kGap.size() - kEnd).append(kGap) +
           text.substr(text.size() - kEnd);
}

}  // namespace

void ErrorList::add(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (++count_ > kMaxKept) return;
    kept_.push_back(error);
    kept_.back().context = shortened(error.context);
}

void ErrorList::add(const std::string& path, const Error& error) {
    add(with_context(error, path.empty() ? "/" : path).value());
}

std::uint64_t ErrorList::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

std::vector<Error> ErrorList::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(kept_, {});
}

}  // namespace squenv
