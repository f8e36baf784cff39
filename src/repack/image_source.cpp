// SPDX-License-Identifier: MIT
#include "repack/image_source.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "image/walk.h"
#include "pack/exclude.h"
#include "pack/threads.h"
#include "pack/tree_builder.h"
#include "verify/digests.h"

namespace squenv::repack {

namespace {

using format::InodeType;
using pack::Node;

class ImageReader final : public pack::FileReader {
  public:
    ImageReader(const image::Image& image, const pack::Tree& tree) : image_(image), tree_(tree) {}

    Status read(pack::EntryId id, std::uint64_t offset, MutableBytes out) override {
        SQUENV_TRY(select(id));
        SQUENV_TRY_ASSIGN(const auto slices, image_.data().read(inode_, offset, out.size()));
        for (const image::DataSlice& slice : slices) {
            if (slice.bytes.size() > out.size()) return fail(Errc::corrupt, "longer than it says");
            if (!slice.bytes.empty())
                std::memcpy(out.data(), slice.bytes.data(), slice.bytes.size());
            out = out.subspan(slice.bytes.size());
        }
        if (!out.empty()) return fail(Errc::corrupt, "shorter than it says");
        return {};
    }

    Result<std::uint64_t> next_data(pack::EntryId id, std::uint64_t offset) override {
        SQUENV_TRY(select(id));
        SQUENV_TRY_ASSIGN(const auto data,
                          image_.data().seek(inode_, offset, image::FileData::Seek::data));
        return data.value_or(inode_.size_bytes);
    }

  private:
    /// Files of an image are told apart by their reference.
    Status select(pack::EntryId id) {
        if (id == node_) return {};
        const auto reference = format::Reference::from_raw(tree_.at(id).source_inode);
        SQUENV_TRY_ASSIGN(inode_, image_.inode(reference));
        node_ = id;
        return {};
    }

    const image::Image& image_;
    const pack::Tree& tree_;
    pack::EntryId node_ = pack::kNoEntry;
    image::Inode inode_;
};

class ImageSource final : public pack::Source {
  public:
    ImageSource(std::unique_ptr<image::Image> image, const pack::Options& options)
        : image_(std::move(image)), options_(options), exclude_(options.exclude) {}

    Result<pack::Scanned> scan() override;
    std::unique_ptr<pack::FileReader> open_reader(const pack::Tree& tree) const override {
        return std::make_unique<ImageReader>(*image_, tree);
    }

  private:
    Status add(const std::string& path, const image::Inode& inode);
    Status add_xattrs(const image::Inode& inode, Node& node);
    [[nodiscard]] bool is_excluded(const std::string& path, const image::Inode& inode);
    Status find_damage();

    const std::unique_ptr<image::Image> image_;
    const pack::Options& options_;
    const pack::ExcludeList exclude_;
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

Status ImageSource::add_xattrs(const image::Inode& inode, Node& node) {
    if (!image_->xattrs().has_any()) return {};
    pack::XattrSet set;
    SQUENV_TRY(image_->xattrs().visit(inode, [&](const std::string& name, const ByteVector& value) {
        pack::add_xattr(set, xattrs_, name, std::string(as_text(value)));
        return true;
    }));
    std::sort(set.begin(), set.end());
    if (!set.empty()) node.xattrs = xattrs_.intern(std::move(set));
    return {};
}

Status ImageSource::add(const std::string& path, const image::Inode& inode) {
    SQUENV_TRY_ASSIGN(Node * node, builder_.at(path));
    node->type = inode.type;
    node->mode = inode.mode;
    node->uid = inode.uid;
    node->gid = inode.gid;
    node->mtime_seconds = inode.mtime;
    node->source_inode = inode.reference.raw();
    node->device = inode.device;
    node->is_hard_linked = inode.nlink > 1 && !inode.is_directory();
    if (inode.is_file()) node->size_bytes = inode.size_bytes;
    node->has_holes = inode.sparse_bytes > 0;
    if (inode.is_symlink()) {
        SQUENV_TRY_ASSIGN(const std::string target, image_->read_link(inode));
        node->target = builder_.text().store(target);
        node->size_bytes = target.size();
    }
    return add_xattrs(inode, *node);
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
            status = add(path, inode);
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
