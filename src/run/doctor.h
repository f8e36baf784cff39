// SPDX-License-Identifier: MIT
// Tries every way to mount on this machine, and removes all traces of the trials.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "mount/kernel_mount.h"
#include "run/methods.h"

namespace squenv::run {

/// One thing that was tried.
struct Probe {
    std::string subject{};  ///< "/dev/fuse"
    bool is_passed = false;
    std::string finding{};  ///< what was found
    std::string remedy{};   ///< what to do, or what to tell an administrator; "" when passed
};

/// Whether a method works, and what prevents it or is special about it.
struct Verdict {
    mount::Method method = mount::Method::automatic;
    bool works = false;
    std::string reason{};
};

struct Diagnosis {
    std::vector<Probe> probes{};
    std::vector<Verdict> verdicts{};  ///< in the order in which `run` tries them
    [[nodiscard]] bool has_way() const;
};

/// The subject of the diagnosis; without an image, the machine alone.
struct DiagnosisSubject {
    std::string image{};             ///< as the user wrote it
    std::optional<Wanted> wanted{};  ///< the image where `run` would have it
    std::optional<Error> refusal{};  ///< why `run` would stop before any trial
    /// The Python that the environment in the image needs, of this machine.
    std::optional<Probe> interpreter{};
};

/// Mounts for real: on directories of its own below TMPDIR, and an image at its path, by the steps
/// of obtain_mounts(). Removes all that it made. Before any thread exists.
[[nodiscard]] Diagnosis diagnose(const DiagnosisSubject& subject);

}  // namespace squenv::run
