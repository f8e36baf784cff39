// SPDX-License-Identifier: MIT
// What each kind of request is answered with.
#include <cstring>
#include <limits>
#include <vector>

#include "base/statistics_ioctl.h"
#include "fuse/libfuse_session.h"
#include "fuse/statistics.h"

namespace squenv::fuse {

namespace {

/// Nothing in the image ever changes, so nothing the kernel knows ever expires.
constexpr double kForever = std::numeric_limits<double>::max();
/// Requests the kernel may have under way that nobody waits for (read-ahead); its default is 12.
constexpr unsigned kMaxBackground = 64;
/// Directories that were listed with nothing else asked for: nobody but find(1) does that.
constexpr unsigned kListerSign = 16;

fuse_entry_param entry_of(const Node& node) {
    fuse_entry_param entry{};
    entry.ino = node.id;
    entry.attr = node.attributes;
    entry.attr_timeout = kForever;
    entry.entry_timeout = kForever;
    return entry;
}

std::uint64_t microseconds_since(std::chrono::steady_clock::time_point start) {
    const auto passed = std::chrono::steady_clock::now() - start;
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(passed).count());
}

/// The two-step protocol of xattr calls: a size of 0 asks how long the answer is.
void reply_xattr(fuse_req_t request, ByteView value, std::size_t size) {
    if (size == 0)
        fuse_reply_xattr(request, value.size());
    else if (value.size() > size)
        fuse_reply_err(request, ERANGE);
    else
        fuse_reply_buf(request, reinterpret_cast<const char*>(value.data()), value.size());
}

}  // namespace

template <class Answer>
void LibfuseSession::handle(fuse_req_t request, RequestKind kind, fuse_ino_t node,
                            Answer&& answer) {
    auto& session = self(request);
    session.counters_.count(kind);
    if (auto* worker = Worker::current(); worker != nullptr)
        worker->note_request(kind != RequestKind::ioctl);
    const auto start = Clock::now();
    session.last_request_.store(start.time_since_epoch().count(), std::memory_order_relaxed);
    try {
        std::forward<Answer>(answer)(session);
        if (session.options_.recorder != nullptr && kind != RequestKind::read)
            session.options_.recorder->note_duration(kind, node, microseconds_since(start));
    } catch (const std::bad_alloc&) {
        session.reply_error(request, kind, node, Error{Errc::limit, ENOMEM, "out of memory", {}});
    } catch (const std::exception& exception) {
        session.reply_error(request, kind, node, Error{Errc::internal, 0, exception.what(), {}});
    }
}

template <class Answer>
void LibfuseSession::handle_later(fuse_req_t request, RequestKind kind, fuse_ino_t node,
                                  Answer&& answer) {
    try {
        std::forward<Answer>(answer)();
    } catch (const std::bad_alloc&) {
        reply_error(request, kind, node, Error{Errc::limit, ENOMEM, "out of memory", {}});
    } catch (const std::exception& exception) {
        reply_error(request, kind, node, Error{Errc::internal, 0, exception.what(), {}});
    }
}

void LibfuseSession::reply_error(fuse_req_t request, RequestKind kind, fuse_ino_t node,
                                 const Error& error) {
    fuse_reply_err(request, to_errno(error));
    counters_.count_error();
    std::uint64_t suppressed = 0;
    if (!log_limit_.allow(suppressed)) return;
    log::error("{}: {} of node {:#x}: {}{}", options_.name, request_name(kind), node,
               error.message(),
               file_system_.image().has_changed()
                   ? "; the image file was changed after it was mounted: mount it again"
                   : "");
    if (suppressed != 0) log::error("{}: {} more failed requests", options_.name, suppressed);
}

void LibfuseSession::on_init(void* userdata, fuse_conn_info* connection) {
    auto& session = *static_cast<LibfuseSession*>(userdata);
    session.can_skip_open_ = (connection->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    session.can_skip_opendir_ = (connection->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
    const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
                            FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS |
                            FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_IOCTL_DIR |
                            FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT;
    connection->want = connection->capable & wanted;
    connection->max_background = kMaxBackground;
    connection->congestion_threshold = kMaxBackground * 3 / 4;
}

void LibfuseSession::on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    handle(request, RequestKind::lookup, parent, [&](LibfuseSession& session) {
        const auto found = session.file_system_.lookup(parent, name);
        if (!found)
            return session.reply_error(request, RequestKind::lookup, parent, found.error());
        if (*found && !S_ISDIR((*found)->attributes.st_mode)) session.has_other_users_ = true;
        if (auto* recorder = session.options_.recorder; recorder != nullptr) {
            if (*found)
                recorder->note(trace::Use::look, (*found)->id);
            else
                recorder->note_missing(parent, name);
        }
        // A node of 0 is a cached "no such file".
        const auto entry = entry_of(*found ? **found : Node{});
        fuse_reply_entry(request, &entry);
    });
}

void LibfuseSession::on_forget(fuse_req_t request, fuse_ino_t /*node*/, std::uint64_t /*count*/) {
    self(request).counters_.count(RequestKind::forget);
    fuse_reply_none(request);
}

void LibfuseSession::on_forget_multi(fuse_req_t request, std::size_t /*count*/,
                                     fuse_forget_data* /*nodes*/) {
    self(request).counters_.count(RequestKind::forget);
    fuse_reply_none(request);
}

void LibfuseSession::on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* /*file*/) {
    handle(request, RequestKind::getattr, node, [&](LibfuseSession& session) {
        const auto attributes = session.file_system_.attributes(node);
        if (!attributes)
            return session.reply_error(request, RequestKind::getattr, node, attributes.error());
        if (session.options_.recorder != nullptr)
            session.options_.recorder->note(trace::Use::look, node);
        fuse_reply_attr(request, &*attributes, kForever);
    });
}

void LibfuseSession::on_readlink(fuse_req_t request, fuse_ino_t node) {
    handle(request, RequestKind::readlink, node, [&](LibfuseSession& session) {
        const auto target = session.file_system_.read_link(node);
        if (!target)
            return session.reply_error(request, RequestKind::readlink, node, target.error());
        if (session.options_.recorder != nullptr)
            session.options_.recorder->note(trace::Use::link, node);
        fuse_reply_readlink(request, target->c_str());
    });
}

void LibfuseSession::on_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    handle(request, RequestKind::open, node, [&](LibfuseSession& session) {
        // ENOSYS once means: never ask again, opening always works, keep the page cache.
        if (session.can_skip_open_) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        file->keep_cache = 1;
        fuse_reply_open(request, file);
    });
}

void LibfuseSession::on_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    handle(request, RequestKind::opendir, node, [&](LibfuseSession& session) {
        if (session.can_skip_opendir_) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        file->keep_cache = 1;
        file->cache_readdir = 1;
        fuse_reply_open(request, file);
    });
}

void LibfuseSession::read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset) {
    const auto start = static_cast<std::uint64_t>(offset);
    has_other_users_ = true;
    const FileRange range{node, start, start + size};
    const auto entry = std::make_shared<const UnansweredReads::Entry>(reads_, range);
    const auto answer_later = [this, request, node, size, start, entry] {
        handle_later(request, RequestKind::read, node,
                     [&] { reply_read(request, node, size, start, false); });
    };
    if (streams_ && streams_->note_read(node, start, size)) {
        if (sweep_) sweep_->note_stream();
        if (streams_->hold_read(range, answer_later)) return;
    } else if (sweep_ && sweep_->note_read(node, start) && sweep_->hold_read(range, answer_later)) {
        return;
    }
    reply_read(request, node, size, start, pages_.has_value());
}

void LibfuseSession::reply_read(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                std::uint64_t start, bool stores_siblings) {
    image::BlockPointer fragment;
    const auto slices =
        file_system_.read(node, start, size, stores_siblings ? &fragment : nullptr);
    if (!slices) return reply_error(request, RequestKind::read, node, slices.error());
    std::vector<iovec> parts;
    parts.reserve(slices->size());
    std::size_t total = 0;
    for (const auto& slice : *slices) {
        parts.push_back({const_cast<std::byte*>(slice.bytes.data()), slice.bytes.size()});
        total += slice.bytes.size();
    }
    counters_.count_bytes(total);
    if (fragment) pages_->before_reply(node, *fragment);
    fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
    if (!fragment) return;
    try {
        pages_->after_reply(node);
    } catch (const std::exception& exception) {
        // The request is answered: what else could be done is left.
        log::debug("storing ahead: {}", exception.what());
    }
}

void LibfuseSession::on_read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                             fuse_file_info* /*file*/) {
    handle(request, RequestKind::read, node, [&](LibfuseSession& session) {
        auto* recorder = session.options_.recorder;
        if (recorder == nullptr) return session.read(request, node, size, offset);
        const auto start = Clock::now();
        const auto begin = static_cast<std::uint64_t>(offset);
        recorder->note(trace::Use::read, node, begin, size);
        session.read(request, node, size, offset);
        recorder->note_duration(RequestKind::read, node, microseconds_since(start), begin, size);
    });
}

/// Appends one entry; 0 when it does not fit any more.
std::size_t LibfuseSession::add_entry(fuse_req_t request, char* buffer, std::size_t room,
                                      const FileSystem::Entry& entry, Detail detail) const {
    const std::string name(entry.name);
    const auto next = static_cast<off_t>(entry.next_offset);
    fuse_entry_param param{};
    param.attr.st_ino = entry.inode_number;
    param.attr.st_mode = entry.type;
    if (detail == Detail::names) {
        const std::size_t needed =
            fuse_add_direntry(request, buffer, room, name.c_str(), &param.attr, next);
        return needed <= room ? needed : 0;
    }
    // An inode that cannot be read is listed without attributes; using it reports the error.
    if (!entry.is_dot && (detail == Detail::everything || entry.type == S_IFDIR))
        if (const auto node = file_system_.node(entry)) param = entry_of(*node);
    const std::size_t needed =
        fuse_add_direntry_plus(request, buffer, room, name.c_str(), &param, next);
    return needed <= room ? needed : 0;
}

void LibfuseSession::list(fuse_req_t request, RequestKind kind, fuse_ino_t node, std::size_t size,
                          off_t offset, Detail detail) {
    if (options_.recorder != nullptr && offset == 0)
        options_.recorder->note(trace::Use::list, node);
    const std::unique_ptr<char[]> buffer(new char[size]);
    std::size_t used = 0;
    const auto status = file_system_.list(
        node, static_cast<std::uint64_t>(offset), [&](const FileSystem::Entry& entry) {
            const std::size_t added =
                add_entry(request, buffer.get() + used, size - used, entry, detail);
            used += added;
            return added != 0;
        });
    if (!status) return reply_error(request, kind, node, status.error());
    fuse_reply_buf(request, buffer.get(), used);
}

bool LibfuseSession::has_only_listers() const {
    return listings_ > kListerSign && !has_other_users_;
}

/// A first listing may be anybody's.
void LibfuseSession::note_listers() {
    if (listings_ < 2 || has_told_of_listers_.exchange(true)) return;
    sweep_->hold();
    if (options_.on_listers) options_.on_listers();
}

/// While the warmer is ahead, a user who only lists is kept waiting for a moment, and the warmer
/// hurries: it is told of directories alone, which makes it twice as fast.
void LibfuseSession::list_with_attributes(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                          off_t offset) {
    Detail detail = Detail::everything;
    const auto list_everything = [this, request, node, size, offset] {
        handle_later(request, RequestKind::readdirplus, node, [&] {
            list(request, RequestKind::readdirplus, node, size, offset, Detail::everything);
        });
    };
    if (warming_.is_under_way) {
        const bool is_warmer = fuse_req_ctx(request)->pid == warming_.pid;
        if (is_warmer) {
            if (streams_ && streams_->hold_until_quiet(list_everything)) return;
            if (listings_ != 0 && !has_other_users_) detail = Detail::directories;
        } else if (offset == 0 && !has_other_users_) {
            ++listings_;
            // The warmer is somewhere else as long as it visits the names of the list.
            const bool is_ahead = !sweep_ || has_told_of_listers_;
            if (!is_ahead) note_listers();
            if (is_ahead && held_.hold(HoldReason::listing_beside_warmer, {},
                                       [list_everything](bool /*is_late*/) { list_everything(); }))
                return;
        }
    } else {
        if (offset == 0) ++listings_;
        if (sweep_ && offset == 0 && !has_other_users_) note_listers();
        if (has_only_listers()) detail = Detail::directories;
    }
    list(request, RequestKind::readdirplus, node, size, offset, detail);
    if (sweep_ && warming_.is_under_way) sweep_->note_listing();
}

void LibfuseSession::on_readdir(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                off_t offset, fuse_file_info* /*file*/) {
    handle(request, RequestKind::readdir, node, [&](LibfuseSession& session) {
        session.list(request, RequestKind::readdir, node, size, offset, Detail::names);
    });
}

void LibfuseSession::on_readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                    off_t offset, fuse_file_info* /*file*/) {
    handle(request, RequestKind::readdirplus, node, [&](LibfuseSession& session) {
        session.list_with_attributes(request, node, size, offset);
    });
}

void LibfuseSession::on_statfs(fuse_req_t request, fuse_ino_t node) {
    handle(request, RequestKind::statfs, node, [&](LibfuseSession& session) {
        const auto statistics = session.file_system_.statistics();
        fuse_reply_statfs(request, &statistics);
    });
}

void LibfuseSession::on_getxattr(fuse_req_t request, fuse_ino_t node, const char* name,
                                 std::size_t size) {
    handle(request, RequestKind::getxattr, node, [&](LibfuseSession& session) {
        // ENOSYS once means: never ask again. Every exec asks for security.capability otherwise.
        if (!session.file_system_.has_xattrs()) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        const auto value = session.file_system_.xattr(node, name);
        if (!value)
            return session.reply_error(request, RequestKind::getxattr, node, value.error());
        if (!*value)
            fuse_reply_err(request, ENODATA);
        else
            reply_xattr(request, **value, size);
    });
}

void LibfuseSession::on_listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size) {
    handle(request, RequestKind::listxattr, node, [&](LibfuseSession& session) {
        if (!session.file_system_.has_xattrs()) {
            fuse_reply_err(request, ENOSYS);
            return;
        }
        const auto names = session.file_system_.xattr_names(node);
        if (!names)
            return session.reply_error(request, RequestKind::listxattr, node, names.error());
        // Only root may read trusted.*, and the kernel leaves hiding the names to us.
        const bool shows_trusted = fuse_req_ctx(request)->uid == 0;
        std::string list;
        for (const auto& name : *names)
            if (shows_trusted || !name.starts_with("trusted.")) list += name + '\0';
        reply_xattr(request, as_bytes(list), size);
    });
}

void LibfuseSession::on_access(fuse_req_t request, fuse_ino_t node, int /*mask*/) {
    handle(request, RequestKind::access, node,
           [&](LibfuseSession& /*session*/) { fuse_reply_err(request, ENOSYS); });
}

void LibfuseSession::on_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                              fuse_file_info* /*file*/) {
    handle(request, RequestKind::lseek, node, [&](LibfuseSession& session) {
        if (offset < 0 || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
            fuse_reply_err(request, offset < 0 ? ENXIO : EINVAL);
            return;
        }
        const auto what =
            whence == SEEK_DATA ? image::FileData::Seek::data : image::FileData::Seek::hole;
        const auto found =
            session.file_system_.seek(node, static_cast<std::uint64_t>(offset), what);
        if (!found)
            return session.reply_error(request, RequestKind::lseek, node, found.error());
        if (!*found)
            fuse_reply_err(request, ENXIO);
        else
            fuse_reply_lseek(request, static_cast<off_t>(**found));
    });
}

void LibfuseSession::on_ioctl(fuse_req_t request, fuse_ino_t node, unsigned command,
                              void* /*argument*/, fuse_file_info* /*file*/, unsigned /*flags*/,
                              const void* /*input*/, std::size_t /*input_size*/,
                              std::size_t output_size) {
    handle(request, RequestKind::ioctl, node, [&](LibfuseSession& session) {
        if (command != static_cast<unsigned>(kStatisticsIoctl) ||
            output_size < kStatisticsBytes) {
            fuse_reply_err(request, ENOTTY);
            return;
        }
        std::string text = statistics_json(session.file_system_.image(), session.counters_,
                                           session.stored_bytes(), session.options_,
                                           session.started_);
        text.resize(kStatisticsBytes, '\0');
        fuse_reply_ioctl(request, 0, text.data(), text.size());
    });
}

const fuse_lowlevel_ops& LibfuseSession::operations() {
    static constexpr fuse_lowlevel_ops kOperations = [] {
        fuse_lowlevel_ops operations{};
        operations.init = on_init;
        operations.lookup = on_lookup;
        operations.forget = on_forget;
        operations.forget_multi = on_forget_multi;
        operations.getattr = on_getattr;
        operations.readlink = on_readlink;
        operations.open = on_open;
        operations.opendir = on_opendir;
        operations.read = on_read;
        operations.readdir = on_readdir;
        operations.readdirplus = on_readdirplus;
        operations.statfs = on_statfs;
        operations.getxattr = on_getxattr;
        operations.listxattr = on_listxattr;
        operations.access = on_access;
        operations.lseek = on_lseek;
        operations.ioctl = on_ioctl;
        return operations;
    }();
    return kOperations;
}

}  // namespace squenv::fuse
