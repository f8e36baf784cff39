// SPDX-License-Identifier: MIT
#include "pack/tar_source.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "format/bounds.h"
#include "pack/exclude.h"
#include "pack/spool.h"
#include "pack/tar_stream.h"
#include "pack/tree_builder.h"

namespace squenv::pack {

namespace {

using format::InodeType;

struct FreeArchive {
    void operator()(struct archive* archive) const { ::archive_read_free(archive); }
};
using Archive = std::unique_ptr<struct archive, FreeArchive>;

class TarSource final : public Source {
  public:
    TarSource(TarStream stream, Spool spool, const Options& options)
        : stream_(std::move(stream)),
          name_(stream_.name()),
          spool_(std::move(spool)),
          options_(options),
          exclude_(options.exclude) {}

    /// To be called once, before scan(). Errors: limit (memory), corrupt.
    Status open();
    Result<Scanned> scan() override;
    std::unique_ptr<FileReader> open_reader(const Tree& tree) const override {
        return spool_.open_reader(tree);
    }

  private:
    Status add(struct archive_entry* entry);
    Status fill(const std::string& path, struct archive_entry* entry, Node& node);
    Status link(const std::string& path, const std::string& target);
    Status store_data(const std::string& path, Node& node, std::uint64_t size_bytes);
    [[nodiscard]] bool is_excluded(const std::string& path, bool is_directory) const;
    [[nodiscard]] tl::unexpected<Error> damaged() const;
    static la_ssize_t read(struct archive* archive, void* source, const void** bytes);

    TarStream stream_;
    std::optional<Error> failure_;  ///< of stream_
    const std::string name_;
    Archive archive_;  ///< reads from stream_
    Spool spool_;
    const Options& options_;
    const ExcludeList exclude_;
    TreeBuilder builder_;
    XattrSets xattrs_;
    std::uint64_t next_inode_ = 1;
};

/// "./a/b/" -> "a/b"
std::string plain_path(const char* text) {
    std::string path = text != nullptr ? text : "";
    while (path.starts_with("./") || path.starts_with('/')) path.erase(0, path.find('/') + 1);
    while (path.ends_with('/')) path.pop_back();
    return path == "." ? "" : path;
}

tl::unexpected<Error> TarSource::damaged() const {
    if (failure_) return tl::unexpected(*failure_);
    const char* reason = ::archive_error_string(archive_.get());
    return fail(Errc::corrupt, fmt::format("{}: {}", name_, reason != nullptr ? reason : "damaged"));
}

bool TarSource::is_excluded(const std::string& path, bool is_directory) const {
    if (exclude_.empty()) return false;
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (exclude_.matches(path.substr(0, slash), true)) return true;
    return exclude_.matches(path, is_directory);
}

Status TarSource::link(const std::string& path, const std::string& target) {
    const Node* original = builder_.find(target);
    if (original == nullptr && is_excluded(target, false))
        return fail(Errc::invalid_argument,
                    fmt::format("{}: {} is a link to {}, which is excluded with its content", name_,
                                path, target),
                    "exclude both or none of them");
    if (original == nullptr || original->type == InodeType::directory)
        return fail(Errc::corrupt, fmt::format("{}: {} is a link to {}, which is not in front of it",
                                               name_, path, target));
    Node copy = *original;
    copy.is_hard_linked = true;
    SQUENV_TRY_ASSIGN(Node * first, builder_.at(target));
    first->is_hard_linked = true;
    SQUENV_TRY_ASSIGN(Node * node, builder_.at(path));
    copy.name = node->name;
    copy.name_size = node->name_size;
    *node = copy;
    return {};
}

Status TarSource::store_data(const std::string& path, Node& node, std::uint64_t size_bytes) {
    const std::uint64_t start = spool_.begin();
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
        const int code = ::archive_read_data_block(archive_.get(), &data, &size, &offset);
        if (code == ARCHIVE_EOF) break;
        if (code == ARCHIVE_RETRY) continue;
        if (code != ARCHIVE_OK) return damaged();
        if (is_cancelled(options_)) return cancelled();
        const auto at = static_cast<std::uint64_t>(offset);
        if (offset < 0 || at > size_bytes || size > size_bytes - at)
            return fail(Errc::corrupt, fmt::format("{}: {}: more data than it says", name_, path));
        SQUENV_TRY(spool_.write(start + at, {static_cast<const std::byte*>(data), size}));
    }
    SQUENV_TRY(spool_.end(start + size_bytes));
    node.size_bytes = size_bytes;
    spool_.remember(node.source_inode, start);
    return {};
}

Status TarSource::fill(const std::string& path, struct archive_entry* entry, Node& node) {
    node.mode = ::archive_entry_mode(entry) & 07777;
    // The highest one means "no id" to every system call.
    constexpr la_int64_t kMaxId = std::numeric_limits<std::uint32_t>::max() - 1;
    for (const la_int64_t id : {::archive_entry_uid(entry), ::archive_entry_gid(entry)})
        if (options_.owner.kind != Ownership::Kind::fixed && (id < 0 || id > kMaxId))
            return fail(Errc::limit,
                        fmt::format("{}: {} belongs to id {}, the highest is {}", name_, path, id,
                                    kMaxId),
                        "name an owner for everything with --owner");
    node.uid = static_cast<std::uint32_t>(::archive_entry_uid(entry));
    node.gid = static_cast<std::uint32_t>(::archive_entry_gid(entry));
    node.mtime_seconds = ::archive_entry_mtime(entry);
    node.source_inode = next_inode_++;
    if (node.type == InodeType::symlink) {
        const char* target = ::archive_entry_symlink(entry);
        const std::string_view text(target != nullptr ? target : "");
        if (text.empty() || text.size() > format::kMaxSymlinkTarget)
            return fail(Errc::limit, fmt::format("{}: symlink target of {} bytes", name_,
                                                 text.size()));
        node.target = builder_.text().store(text);
        node.size_bytes = text.size();
    }
    if (node.type == InodeType::block_device || node.type == InodeType::char_device)
        node.device =
            encode_device(static_cast<std::uint32_t>(::archive_entry_rdevmajor(entry)),
                          static_cast<std::uint32_t>(::archive_entry_rdevminor(entry)));
    XattrSet set;
    const char* key = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    ::archive_entry_xattr_reset(entry);
    while (::archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK)
        add_xattr(set, xattrs_, key, std::string(static_cast<const char*>(value), size));
    std::sort(set.begin(), set.end());
    if (!set.empty()) node.xattrs = xattrs_.intern(std::move(set));
    return {};
}

Status TarSource::add(struct archive_entry* entry) {
    const std::string path = plain_path(::archive_entry_pathname(entry));
    const auto type = type_of(::archive_entry_filetype(entry));
    const char* link_target = ::archive_entry_hardlink(entry);
    if (is_excluded(path, type == InodeType::directory)) return {};
    if (link_target != nullptr) return link(path, plain_path(link_target));
    if (!type) return {};
    if (path.empty() && *type != InodeType::directory)
        return fail(Errc::corrupt, name_ + ": the root is not a directory");
    const auto place = builder_.at(path);
    if (!place)
        return fail(Errc::corrupt, fmt::format("{}: {}", name_, place.error().context),
                    "leave it out with --exclude");
    Node* made = *place;
    // A later entry of the same name replaces the earlier one, as when unpacking.
    Node node;
    node.name = made->name;
    node.name_size = made->name_size;
    node.type = *type;
    SQUENV_TRY(fill(path, entry, node));
    if (*type == InodeType::file)
        SQUENV_TRY(store_data(path, node,
                              static_cast<std::uint64_t>(::archive_entry_size(entry))));
    *made = node;
    return {};
}

la_ssize_t TarSource::read(struct archive* archive, void* source, const void** bytes) {
    auto* self = static_cast<TarSource*>(source);
    const auto next = self->stream_.next();
    if (!next) {
        // What libarchive makes of it says less.
        self->failure_ = next.error();
        ::archive_set_error(archive, EIO, "%s", next.error().context.c_str());
        return -1;
    }
    *bytes = next->data();
    return static_cast<la_ssize_t>(next->size());
}

Status TarSource::open() {
    archive_.reset(::archive_read_new());
    if (!archive_) return fail(Errc::limit, "no memory to read an archive");
    ::archive_read_support_format_tar(archive_.get());
    ::archive_read_support_format_gnutar(archive_.get());
    if (::archive_read_open(archive_.get(), this, nullptr, &TarSource::read, nullptr) != ARCHIVE_OK)
        return damaged();
    return {};
}

Result<Scanned> TarSource::scan() {
    struct archive_entry* entry = nullptr;
    while (true) {
        if (is_cancelled(options_)) return cancelled();
        const int code = ::archive_read_next_header(archive_.get(), &entry);
        if (code == ARCHIVE_EOF) break;
        if (code == ARCHIVE_RETRY) continue;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return damaged();
        SQUENV_TRY(add(entry));
    }
    SQUENV_TRY(stream_.check_end(
        static_cast<std::uint64_t>(::archive_read_header_position(archive_.get())),
        static_cast<std::uint64_t>(::archive_filter_bytes(archive_.get(), 0))));
    if (::archive_file_count(archive_.get()) == 0)
        return fail(Errc::corrupt, name_ + ": no files in this archive");
    Scanned scanned;
    scanned.tree = builder_.build();
    scanned.xattrs = std::move(xattrs_);
    return scanned;
}

}  // namespace

Result<std::unique_ptr<Source>> open_tar_source(const std::string& path,
                                                const std::string& spool_directory,
                                                const Options& options) {
    SQUENV_TRY_ASSIGN(TarStream stream, TarStream::open(path, options.cancel));
    SQUENV_TRY_ASSIGN(Spool spool, Spool::open(spool_directory));
    auto source = std::make_unique<TarSource>(std::move(stream), std::move(spool), options);
    SQUENV_TRY(source->open());
    return source;
}

}  // namespace squenv::pack
