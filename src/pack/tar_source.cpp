// SPDX-License-Identifier: MIT
#include "pack/tar_source.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <limits>
#include <string_view>

#include "format/bounds.h"
#include "format/posix.h"
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
    [[nodiscard]] Status check_path(std::string_view path) const;
    Status fill(const std::string& path, struct archive_entry* entry, Node& node);
    Status set_target(const std::string& path, struct archive_entry* entry, Node& node);
    void set_xattrs(struct archive_entry* entry, Node& node);
    Status link(const std::string& path, const std::string& target);
    /// Where an entry goes. Errors: corrupt, limit.
    Result<Node*> place_of(const std::string& path);
    Status store_data(const std::string& path, struct archive_entry* entry, Node& node);
    [[nodiscard]] bool is_excluded(std::string_view path, bool is_directory) const;
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

/// PATH_MAX less the final NUL: Linux takes no longer path. It is a bound on depth as well, because
/// so many bytes hold at most PATH_MAX / 2 names, and each may imply a directory.
constexpr std::size_t kMaxPath = PATH_MAX - 1;

/// "./a/b/" -> "a/b"
std::string plain_path(const char* text) {
    std::string_view path(text != nullptr ? text : "");
    while (path.starts_with("./") || path.starts_with('/')) path.remove_prefix(path.find('/') + 1);
    while (path.ends_with('/')) path.remove_suffix(1);
    return path == "." ? std::string() : std::string(path);
}

/// A name in a message. An archive can have names of megabytes; this many bytes tell which it is.
std::string shown(std::string_view path) {
    constexpr std::size_t kShown = 60;
    constexpr std::size_t kLongestCharacter = 4;
    if (path.size() <= kShown) return std::string(path);
    const auto is_inside_character = [&path](std::size_t at) {
        return (static_cast<unsigned char>(path[at]) & 0xC0U) == 0x80U;
    };
    std::size_t end = kShown;
    while (end > kShown - kLongestCharacter && is_inside_character(end)) --end;
    return std::string(path.substr(0, end)) + "...";
}

tl::unexpected<Error> TarSource::damaged() const {
    if (failure_) return tl::unexpected(*failure_);
    if (::archive_errno(archive_.get()) == ENOMEM) return fail_memory(name_);
    const char* reason = ::archive_error_string(archive_.get());
    return fail(Errc::corrupt,
                fmt::format("{}: {}", name_, reason != nullptr ? reason : "damaged"));
}

bool TarSource::is_excluded(std::string_view path, bool is_directory) const {
    if (exclude_.empty()) return false;
    if (path.size() <= kMaxPath) return exclude_.covers(path, is_directory);
    // It cannot be packed, but it may lie in a directory that is left out.
    const auto slash = path.rfind('/', kMaxPath);
    return slash != std::string_view::npos && exclude_.covers(path.substr(0, slash), true);
}

Status TarSource::check_path(std::string_view path) const {
    if (path.size() > kMaxPath)
        return fail(Errc::limit,
                    fmt::format("{}: {}: the path has {} bytes, Linux takes {}", name_, shown(path),
                                path.size(), kMaxPath),
                    "shorten it in the archive, or leave out a directory above it with --exclude");
    for (std::string_view rest = path; !rest.empty();) {
        const std::string_view name = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        if (name.size() > format::kMaxName)
            return fail(Errc::limit,
                        fmt::format("{}: {}: a name in it has {} bytes, Linux takes {}", name_,
                                    shown(path), name.size(), format::kMaxName),
                        "shorten it in the archive, or leave it out with --exclude");
    }
    return {};
}

Status TarSource::link(const std::string& path, const std::string& target) {
    const Node* original = builder_.find(target);
    if (original == nullptr && is_excluded(target, false))
        return fail(Errc::invalid_argument,
                    fmt::format("{}: {} is a link to {}, which is excluded with its content", name_,
                                shown(path), shown(target)),
                    "exclude both or none of them");
    if (original == nullptr || original->type == InodeType::directory)
        return fail(Errc::corrupt,
                    fmt::format("{}: {} is a link to {}, which is not in front of it", name_,
                                shown(path), shown(target)),
                    "leave it out with --exclude");
    Node copy = *original;
    copy.is_hard_linked = true;
    SQUENV_TRY_ASSIGN(Node * first, place_of(target));
    first->is_hard_linked = true;
    SQUENV_TRY_ASSIGN(Node * node, place_of(path));
    *node = copy;
    return {};
}

Result<Node*> TarSource::place_of(const std::string& path) {
    auto place = builder_.at(path);
    if (place) return *place;
    if (place.error().code == Errc::limit) return with_context(place.error(), name_);
    return fail(Errc::corrupt, fmt::format("{}: {}", name_, place.error().context),
                "leave it out with --exclude");
}

Status TarSource::store_data(const std::string& path, struct archive_entry* entry, Node& node) {
    const auto damaged_entry = [&](const char* how) {
        return fail(Errc::corrupt, fmt::format("{}: {}: {}", name_, shown(path), how),
                    "make the archive anew, or leave the file out with --exclude");
    };
    const la_int64_t said = ::archive_entry_size(entry);
    if (said < 0) return damaged_entry("its size is below zero");
    node.size_bytes = static_cast<std::uint64_t>(said);
    spool_.begin(node.source_inode);
    std::uint64_t end = 0;  // of the data until now
    std::uint64_t stored = 0;
    while (true) {
        if (is_cancelled(options_)) return cancelled();
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        const int code = ::archive_read_data_block(archive_.get(), &data, &size, &offset);
        if (code == ARCHIVE_EOF) break;
        if (code == ARCHIVE_RETRY) continue;
        if (code != ARCHIVE_OK) return damaged();
        // Of a sparse file the data comes with its place, and the holes do not come.
        const auto at = static_cast<std::uint64_t>(offset);
        if (offset < 0 || at > node.size_bytes || size > node.size_bytes - at)
            return damaged_entry("more data than it says");
        if (at < end) return damaged_entry("its data overlaps");
        SQUENV_TRY(spool_.write(at, {static_cast<const std::byte*>(data), size}));
        end = at + size;
        stored += size;
    }
    node.has_holes = stored < node.size_bytes;
    return {};
}

Status TarSource::set_target(const std::string& path, struct archive_entry* entry, Node& node) {
    const char* target = ::archive_entry_symlink(entry);
    const std::string_view text(target != nullptr ? target : "");
    if (text.empty() || text.size() > format::kMaxSymlinkTarget)
        return fail(Errc::limit,
                    fmt::format("{}: {}: symlink target of {} bytes, Linux takes 1 to {}", name_,
                                shown(path), text.size(), format::kMaxSymlinkTarget),
                    "leave it out with --exclude");
    node.target = builder_.text().store(text);
    node.size_bytes = text.size();
    return {};
}

void TarSource::set_xattrs(struct archive_entry* entry, Node& node) {
    XattrSet set;
    const char* key = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    ::archive_entry_xattr_reset(entry);
    while (::archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK)
        add_xattr(set, xattrs_, key, std::string(static_cast<const char*>(value), size));
    std::sort(set.begin(), set.end());
    if (!set.empty()) node.xattrs = xattrs_.intern(std::move(set));
}

Status TarSource::fill(const std::string& path, struct archive_entry* entry, Node& node) {
    node.mode = ::archive_entry_mode(entry) & 07777;
    // The highest one means "no id" to every system call.
    constexpr la_int64_t kMaxId = std::numeric_limits<std::uint32_t>::max() - 1;
    for (const la_int64_t id : {::archive_entry_uid(entry), ::archive_entry_gid(entry)})
        if (options_.owner.kind != Ownership::Kind::fixed && (id < 0 || id > kMaxId))
            return fail(Errc::limit,
                        fmt::format("{}: {} belongs to id {}, the highest is {}", name_,
                                    shown(path), id, kMaxId),
                        "name an owner for everything with --owner");
    node.uid = static_cast<std::uint32_t>(::archive_entry_uid(entry));
    node.gid = static_cast<std::uint32_t>(::archive_entry_gid(entry));
    node.mtime_seconds = ::archive_entry_mtime(entry);
    node.source_inode = next_inode_++;
    if (node.type == InodeType::symlink) SQUENV_TRY(set_target(path, entry, node));
    if (node.type == InodeType::block_device || node.type == InodeType::char_device)
        node.device =
            format::encode_device(makedev(static_cast<unsigned>(::archive_entry_rdevmajor(entry)),
                                          static_cast<unsigned>(::archive_entry_rdevminor(entry))));
    set_xattrs(entry, node);
    return {};
}

Status TarSource::add(struct archive_entry* entry) {
    const std::string path = plain_path(::archive_entry_pathname(entry));
    const auto type = type_of(::archive_entry_filetype(entry));
    const char* link_target = ::archive_entry_hardlink(entry);
    if (is_excluded(path, type == InodeType::directory)) return {};
    SQUENV_TRY(check_path(path));
    if (path.empty() && (link_target != nullptr || (type && *type != InodeType::directory)))
        return fail(Errc::corrupt, name_ + ": the root is not a directory");
    if (link_target != nullptr) return link(path, plain_path(link_target));
    if (!type) return {};
    SQUENV_TRY_ASSIGN(Node * made, place_of(path));
    // A later entry of the same name replaces the earlier one, as when unpacking.
    Node node;
    node.type = *type;
    SQUENV_TRY(fill(path, entry, node));
    if (*type == InodeType::file) SQUENV_TRY(store_data(path, entry, node));
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
    if (!archive_) return fail_memory("a reader of archives");
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
        // To go on after ARCHIVE_RETRY finds the next header, and loses the file of a damaged one.
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
