// SPDX-License-Identifier: MIT
// Names of temporary files: new ones, and those to remove when a signal ends the process.
#pragma once

#include <string>
#include <utility>

namespace squenv {

/// `prefix` and 16 random hexadecimal digits. A process id would recur, and files left by an
/// earlier process of that id would be in the way.
[[nodiscard]] std::string unique_name(const std::string& prefix);

/// While one lives, remove_temporary_names() removes the file of that name; its own end does not. A
/// few at a time are remembered; more than those, and names of PATH_MAX bytes, are not. Several
/// threads may create and destroy several.
class TemporaryName {
  public:
    TemporaryName() noexcept = default;
    explicit TemporaryName(const std::string& path) noexcept;
    TemporaryName(TemporaryName&& other) noexcept : slot_(std::exchange(other.slot_, kNone)) {}
    TemporaryName& operator=(TemporaryName&& other) noexcept {
        std::swap(slot_, other.slot_);
        return *this;
    }
    ~TemporaryName();

  private:
    static constexpr int kNone = -1;
    int slot_ = kNone;
};

/// For a signal handler that ends the process: async-signal-safe.
void remove_temporary_names() noexcept;

}  // namespace squenv
