// SPDX-License-Identifier: MIT
// Errors of many objects, in memory that does not grow with the damage of an image.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"

namespace squenv {

/// The error of one object; `path` is none of its context.
struct ObjectError {
    std::string path{};  ///< "" when it is of no object
    Error error{};
    /// With "path: " in front, and at most kMaxContext bytes of context.
    [[nodiscard]] Error joined() const;
    /// Two PATH_MAX: paths of an image can be megabytes long.
    static constexpr std::size_t kMaxContext = 8 << 10;
};

/// All errors are counted, the first ones kept. Thread-safe.
class ErrorList {
  public:
    /// More than a report can usefully show.
    static constexpr std::size_t kMaxKept = 1000;

    void add(const Error& error);
    /// Of the object at `path`; "" is shown as "/".
    void add(const std::string& path, const Error& error);
    [[nodiscard]] std::uint64_t count() const;
    /// The kept errors, in the order of adding. The list is empty afterwards but still counts.
    [[nodiscard]] std::vector<ObjectError> take_objects();
    /// The same, joined.
    [[nodiscard]] std::vector<Error> take();

  private:
    void keep(const std::string& path, const Error& error);

    mutable std::mutex mutex_;  ///< protects both
    std::uint64_t count_ = 0;
    std::vector<ObjectError> kept_;
};

}  // namespace squenv
