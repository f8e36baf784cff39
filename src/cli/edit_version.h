// SPDX-License-Identifier: MIT
// From an editing session to the next version of its image.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/file_identity.h"
#include "base/result.h"
#include "cli/command.h"
#include "edit/session.h"
#include "image/image.h"
#include "pack/pack.h"
#include "repack/merge_source.h"
#include "versions/versions.h"

namespace squenv::cli {

/// What the next version is made of.
struct EditedImage {
    const edit::Session& session;
    std::shared_ptr<const image::ImageFile> base;  ///< the version that was edited
    FileIdentity current{};                        ///< of the file that is replaced
    versions::Origin origin{};
};

struct NextVersion {
    repack::Changes changes{};
    pack::Report report{};
    versions::Version version{};
};

/// Packs the changes of a session that is in use no more and gives the result the name of the
/// image. Nothing when there are no changes. Until a signal stops it. On failure the image is what
/// it was, and so is the session.
/// Errors: busy (the image was replaced meanwhile), those of packing and of versions::publish().
[[nodiscard]] Result<std::optional<NextVersion>> make_next_version(const EditedImage& edited,
                                                                   Io& io);

/// The identity of the file at `path`. Errors: not_found, denied.
[[nodiscard]] Result<FileIdentity> identity_at(const std::string& path);

}  // namespace squenv::cli
