// SPDX-License-Identifier: MIT
#include "repack/image_source.h"

#include <set>

#include "image/walk.h"
#include "pack/exclude.h"
#include "pack/threads.h"
#include "repack/image_nodes.h"
#include "verify/digests.h"

namespace squenv::repack {

namespace {

class ImageSource final : public pack::Source {
  public:
    ImageSource(std::unique_ptr<image::Image> image, const pack::Options& options)
        : image_(std::move(image)), options_(options), exclude_(options.exclude), nodes_(*image_) {}

    Result<pack::Scanned> scan() override;
    std::unique_ptr<pack::FileReader> open_reader(const pack::Tree& tree) const override {
        return std::make_unique<ImageReader>(*image_, tree);
    }

  private:
    [[nodiscard]] bool is_excluded(const std::string& path, const image::Inode& inode);
    Status find_damage();

    const std::unique_ptr<image::Image> image_;
    const pack::Options& options_;
    const pack::ExcludeList exclude_;
    const ImageNodes nodes_;
    std::set<std::string> damaged_;   ///< files that are not what was packed
    std::string excluded_directory_;  ///< the last one met, with a slash at its end
    pack::TreeBuilder builder_;
    pack::XattrSets xattrs_;
};

bool ImageSource::is_excluded(const std::string& path, const image::Inode& inode) {
    if (exclude_.empty() || path.empty()) return false;
    if (!excluded_directory_.empty() && path.starts_with(excluded_directory_)) return true;
    if (!exclude_.matches(path, inode.is_directory())) return false;
    if (inode.is_directory()) excluded_directory_ = path + '/';
    return true;
}

/// New digests must not say of damaged blocks that they are as they were packed.
Status ImageSource::find_damage() {
    SQUENV_TRY_ASSIGN(const auto damage,
                      verify::find_digest_damage(*image_, pack::compressor_threads(options_)));
    if (!damage.others.empty()) return tl::unexpected(damage.others.front());
    damaged_.insert(damage.files.begin(), damage.files.end());
    return {};
}

Result<pack::Scanned> ImageSource::scan() {
    pack::Scanned scanned;
    SQUENV_TRY(find_damage());
    Status status;
    image::WalkVisitor visitor;
    visitor.enter = [&](const std::string& path, const image::Inode& inode) {
        if (pack::is_cancelled(options_)) status = pack::cancelled();
        if (!status || is_excluded(path, inode)) return status.has_value();
        if (damaged_.contains(path))
            scanned.problems.push_back({path, verify::damaged_file().message(), Errc::corrupt});
        else
            status = nodes_.add(builder_, xattrs_, path, inode);
        return status.has_value();
    };
    visitor.failed = [&](const std::string& path, const Error& error) {
        // Without its root nothing is left that could be packed.
        if (path.empty()) status = with_context(error, "/");
        scanned.problems.push_back({path, error.message(), error.code});
        return status.has_value();
    };
    image::walk(*image_, image_->root(), visitor);
    SQUENV_TRY(status);
    scanned.tree = builder_.build();
    scanned.xattrs = std::move(xattrs_);
    return scanned;
}

}  // namespace

std::unique_ptr<pack::Source> make_image_source(std::unique_ptr<image::Image> image,
                                                const pack::Options& options) {
    return std::make_unique<ImageSource>(std::move(image), options);
}

}  // namespace squenv::repack
