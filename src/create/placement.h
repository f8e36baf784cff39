// SPDX-License-Identifier: MIT
// How the tools see the environment at the path at which it will be used, although it is made
// elsewhere: scripts and compiled modules keep that path.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "create/staging.h"

namespace squenv::create {

enum class Placement {
    mount_namespace,  ///< bound there, in a mount namespace alone: root
    user_namespace,   ///< bound there, in a user namespace
    link,             ///< a symbolic link there leads to the tree
    elsewhere,        ///< not at all: what is made has to be relocatable
};

/// What this machine allows.
struct PlacementFacts {
    std::optional<Placement> space{};  ///< the namespace that works, if one does
    Error refusal{};                   ///< why none does
    bool is_free = false;              ///< nothing is at the path, and a link can be made there
    bool can_relocate = false;         ///< the tool makes scripts that find their environment
};

/// Errors: environment (none is possible at `at`), with the reason and what would do.
[[nodiscard]] Result<Placement> choose_placement(const PlacementFacts& facts,
                                                 const std::string& at);

/// The tree of a staging directory at `at`, an absolute path. Ends with this object.
class Place {
  public:
    /// Tries what is possible, in the order of Placement. `can_relocate` as PlacementFacts has it.
    /// Before any thread exists. Errors: as choose_placement(); io.
    [[nodiscard]] static Result<Place> make(Staging& staging, const std::string& at,
                                            bool can_relocate);
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();

    [[nodiscard]] Placement placement() const { return placement_; }
    /// The path at which the tools see the tree.
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    Place(Staging& staging, Placement placement, std::string path, UniqueFd hold)
        : staging_(&staging),
          placement_(placement),
          path_(std::move(path)),
          hold_(std::move(hold)) {}
    Staging* staging_;  ///< nullptr when it has been moved from
    Placement placement_;
    std::string path_;
    UniqueFd hold_;  ///< keeps others from removing the directory that is bound over
};

/// Moves the calling process, which has one thread, to where `tree` is at `path`. Does nothing for
/// placements without a namespace. Errors: environment, denied.
[[nodiscard]] Status enter_place(Placement placement, const std::string& tree,
                                 const std::string& path);

}  // namespace squenv::create
