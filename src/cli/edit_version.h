// SPDX-License-Identifier: MIT
// From an editing session to the next version of its image.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/file_identity.h"
#include "base/result.h"
#include "cli/command.h"
#include "edit/session.h"
#include "image/image.h"
#include "pack/image_writer.h"
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

/// Makes the next version of an image. At most one at a time.
class VersionMaker {
  public:
    explicit VersionMaker(EditedImage edited) : edited_(std::move(edited)) {}
    ~VersionMaker();
    VersionMaker(const VersionMaker&) = delete;
    VersionMaker& operator=(const VersionMaker&) = delete;

    /// Begins to copy what will most likely be part of it, in a thread, while the session runs.
    /// What fails is done, or fails, again in make().
    void prepare();
    /// Packs the changes of the session, which is in use no more, and gives the result the name of
    /// the image. Nothing when there are no changes. Until a signal stops it. On failure the image
    /// is what it was, and so is the session. Errors: busy (the image was replaced meanwhile),
    /// those of packing and of versions::publish().
    [[nodiscard]] Result<std::optional<NextVersion>> make(Io& io);

  private:
    Status open();
    Status check_current() const;
    Status replace(const std::string& fresh, const std::string& path);
    Result<std::optional<NextVersion>> pack(pack::Source& source, Io& io);
    Result<std::optional<NextVersion>> pack_tree(Io& io);
    /// The writer that prepare() made, when that has succeeded.
    pack::ImageWriter* prepared();

    EditedImage edited_;
    std::unique_ptr<image::Image> image_;
    pack::Options options_;
    NextVersion next_;
    std::optional<pack::ImageWriter> writer_;
    std::atomic<bool> is_cancelled_ = false;
    std::atomic<bool> has_begun_ = false;
    std::atomic<bool> has_adopted_ = false;
    std::jthread copier_;  ///< last: uses the rest
};

/// The identity of the file at `path`. Errors: not_found, denied.
[[nodiscard]] Result<FileIdentity> identity_at(const std::string& path);

}  // namespace squenv::cli
