// SPDX-License-Identifier: MIT
// Images at their paths for a command that is about to run, by any method of this machine.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/request.h"
#include "share/membership.h"

namespace squenv::run {

/// The place of an image, and the method that put it there.
struct Placement {
    std::string image{};       ///< its path, absolute
    std::string mountpoint{};  ///< canonical
    std::string tree{};        ///< where the files are: `mountpoint`, or an unpacked tree
    mount::Method method = mount::Method::automatic;
    bool is_new = false;  ///< made by this call, not joined
    std::string note{};   ///< what the user should know, or ""
};

/// One image that is wanted.
struct Wanted {
    daemon::Request request{};
    /// Its files may be used at another path than that of the request.
    bool is_relocatable = false;
};

/// Everything that the command needs to have the images, until it ends.
class HeldMounts {
  public:
    std::vector<Placement> placements{};

    /// Moves the calling process to where the images are, and makes what it holds survive the exec.
    /// The process has one thread and is about to execute the command. `inside`, if there is one,
    /// is called in the namespace of the images, while the process may still mount there.
    /// Errors: denied; internal (`inside` without a namespace); those of `inside`.
    [[nodiscard]] Status settle(const std::function<Status()>& inside = {});

    /// Makes `process`, of the same user, a user of the images in place of the calling process.
    /// That process also needs copies of connections(), open until it ends, and has to be in
    /// namespaces().
    void pass_to(pid_t process) const;
    [[nodiscard]] const std::vector<UniqueFd>& connections() const { return kept_; }
    /// Empty when all images are visible where the calling process began.
    [[nodiscard]] const system::Namespaces& namespaces() const { return namespaces_; }

    void keep(share::Membership membership);
    /// The descriptors that no other process may inherit.
    [[nodiscard]] std::vector<int> descriptors() const;

  private:
    std::vector<UniqueFd> kept_{};
    system::Namespaces namespaces_{};
};

/// Tries, for each image, `via`, or with automatic one method after the other. These are joining
/// the mount of another run or of `squenv mount`, direct, fusermount, userns, extract.
/// `inherited_fds` are the descriptors that this process was started with. Before any thread
/// exists; none is left.
/// Errors: what is wrong with an image or a path; environment when there is no way, with the reason
/// of each on a line of its own (see refusals.h).
[[nodiscard]] Result<HeldMounts> obtain_mounts(const std::vector<Wanted>& wanted, mount::Method via,
                                               std::vector<int> inherited_fds);

/// Whether one method has an image at its path.
struct Attempt {
    mount::Method method =
        mount::Method::automatic;    ///< automatic: an existing mount, when nothing else works
    std::optional<Error> refusal{};  ///< why not; empty when it works
    std::string note{};              ///< what the user should know, or ""
};

/// Takes the steps of obtain_mounts() for each method alone, up to the daemon or the unpacked tree,
/// and undoes everything at once. That function works when one of them does. Before any thread
/// exists.
[[nodiscard]] std::vector<Attempt> attempt(const Wanted& wanted);

}  // namespace squenv::run
