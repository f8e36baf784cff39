// SPDX-License-Identifier: MIT
// Trying every way to mount on this machine, without leaving anything behind.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "mount/kernel_mount.h"

namespace squenv::mount {

/// One thing that was tried.
struct Probe {
    std::string subject{};  ///< "/dev/fuse"
    bool is_passed = false;
    std::string finding{};  ///< what is so
    std::string remedy{};   ///< what to do, or what to tell an administrator; "" when passed
};

/// Whether a way works, and what keeps it from that.
struct Verdict {
    Method method = Method::automatic;
    bool works = false;
    std::string reason{};
};

struct Diagnosis {
    std::vector<Probe> probes{};
    std::vector<Verdict> verdicts{};  ///< in the order in which `run` tries them
    [[nodiscard]] bool has_way() const;
};

/// What is asked about; empty strings ask about the machine alone.
struct DiagnosisSubject {
    std::string image{};
    std::string mountpoint{};  ///< as the user wrote it
    bool is_relocatable = false;
};

/// Mounts for real, on a directory of its own below TMPDIR. Before any thread exists.
[[nodiscard]] Diagnosis diagnose(const DiagnosisSubject& subject);

}  // namespace squenv::mount
