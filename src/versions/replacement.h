// SPDX-License-Identifier: MIT
// One file takes the place of the current version, which is kept.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "versions/store.h"

namespace squenv::versions {

/// A complete image on its way to be the current version. Unless finish() succeeds, the file is
/// back at its place in the end.
class Replacement {
  public:
    /// Takes `fresh`, a file on the file system of the image, and a number for it. It lies in the
    /// directory of versions from then on, where that is on the same file system.
    /// Errors: denied, io.
    [[nodiscard]] static Result<Replacement> begin(Store& store, std::string fresh);
    Replacement(Replacement&& other) noexcept;
    Replacement& operator=(Replacement&&) = delete;
    ~Replacement();

    [[nodiscard]] std::uint64_t number() const { return number_; }
    /// Where the file is.
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Keeps the current version under its number, and gives the file the name of the image.
    /// Errors: exists, busy, limit, io.
    [[nodiscard]] Status finish();

  private:
    /// What a way of keeping the current version came to.
    enum class Outcome { done, impossible };
    Replacement(Store& store, std::string fresh);
    [[nodiscard]] Status claim();
    [[nodiscard]] Status try_ways();
    void put_back();
    [[nodiscard]] Result<Outcome> by_link();
    [[nodiscard]] Result<Outcome> by_exchange();
    [[nodiscard]] Result<Outcome> by_copy();
    [[nodiscard]] Status keep_displaced();
    [[nodiscard]] Status take_free_name();
    [[nodiscard]] Status take_name();
    [[nodiscard]] const Place& place() const { return store_->found().place; }

    Store* store_;
    std::string fresh_;  ///< "" once finished
    std::string path_;
    std::uint64_t number_ = 0;
};

/// Copies the file at `from` to the new file `to`, with its time and access rights, and makes it
/// durable. On failure there is no such file. Errors: exists, denied, limit (disk full), io.
[[nodiscard]] Status copy_file(const std::string& from, const std::string& to);

}  // namespace squenv::versions
