// SPDX-License-Identifier: MIT
// What each kind of request is answered with.
#include <linux/fs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "base/statistics_ioctl.h"
#include "fuse/libfuse_session.h"

namespace squenv::fuse {

namespace {

/// Nothing in the image ever changes, so nothing the kernel knows ever expires.
constexpr double kForever = std::numeric_limits<double>::max();
/// Requests that the kernel may have under way without a program that waits for them (read-ahead).
/// Its default is 12.
constexpr unsigned kMaxBackground = 64;

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

/// Bytes of the answer to an ioctl that asks for the flags or the extended attributes of an inode,
/// else 0. An overlay asks before it copies a file up, and some kernels take an error for a failure
/// of that. Squashfs has none of these flags.
std::size_t attribute_bytes(unsigned command) {
    if (command == static_cast<unsigned>(FS_IOC_GETFLAGS)) return sizeof(long);
    if (command == static_cast<unsigned>(FS_IOC_FSGETXATTR)) return sizeof(fsxattr);
    return 0;
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
    session.counters_.count(kind, session.is_of_walker(request));
    if (auto* worker = Worker::current(); worker != nullptr)
        worker->note_request(kind != RequestKind::ioctl);
    const auto start = Clock::now();
    session.memory_.last_request.store(start.time_since_epoch().count(), std::memory_order_relaxed);
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
    const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS |
                            FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA |
                            FUSE_CAP_IOCTL_DIR | FUSE_CAP_NO_OPEN_SUPPORT |
                            FUSE_CAP_NO_OPENDIR_SUPPORT;
    connection->want = connection->capable & wanted;
    connection->max_background = kMaxBackground;
    connection->congestion_threshold = kMaxBackground * 3 / 4;
}

void LibfuseSession::on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    handle(request, RequestKind::lookup, parent, [&](LibfuseSession& session) {
        const auto found = session.file_system_.lookup(parent, name);
        if (!found) return session.reply_error(request, RequestKind::lookup, parent, found.error());
        if (*found) session.prefetcher_->on_lookup(S_ISDIR((*found)->attributes.st_mode));
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
    self(request).counters_.count(RequestKind::forget, false);
    fuse_reply_none(request);
}

void LibfuseSession::on_forget_multi(fuse_req_t request, std::size_t /*count*/,
                                     fuse_forget_data* /*nodes*/) {
    self(request).counters_.count(RequestKind::forget, false);
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

struct LibfuseSession::Read {
    Read(LibfuseSession& its_session, fuse_req_t its_request, fuse_ino_t its_node,
         const prefetch::FileRange& its_range)
        : session(its_session),
          request(its_request),
          node(its_node),
          range(its_range),
          entry(its_session.prefetcher_->unanswered_reads(), its_range) {}

    LibfuseSession& session;
    const fuse_req_t request;
    RequestJournal::Slot* const slot = RequestJournal::current();
    const fuse_ino_t node;
    const prefetch::FileRange range;
    const prefetch::UnansweredReads::Entry entry;  ///< until the answer is sent
    image::Inode file{};
};

void LibfuseSession::read(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset) {
    const auto start = static_cast<std::uint64_t>(offset);
    const auto read = std::make_shared<Read>(
        *this, request, node,
        prefetch::FileRange{file_system_.reference(node).raw(), start, start + size});
    auto file = file_system_.file(node);
    if (!file) return reply_error(request, RequestKind::read, node, file.error());
    read->file = *file;
    const auto answer_later = [read] {
        LibfuseSession& session = read->session;
        const RequestJournal::Work work(read->slot);
        session.handle_later(read->request, RequestKind::read, read->node,
                             [&] { session.reply_read(*read, false); });
    };
    if (!prefetcher_->on_read(read->file, read->range, answer_later)) reply_read(*read, true);
}

void LibfuseSession::reply_read(const Read& read, bool stores_siblings) {
    const auto slices =
        file_system_.image().data().read(read.file, read.range.begin, read.range.size());
    if (!slices) return reply_error(read.request, RequestKind::read, read.node, slices.error());
    std::vector<iovec> parts;
    parts.reserve(slices->size());
    std::size_t total = 0;
    for (const auto& slice : *slices) {
        parts.push_back({const_cast<std::byte*>(slice.bytes.data()), slice.bytes.size()});
        total += slice.bytes.size();
    }
    counters_.count_bytes(total);
    const auto* fragment = stores_siblings ? prefetcher_->siblings_in(*slices) : nullptr;
    if (fragment != nullptr) prefetcher_->before_reply(read.file, *fragment);
    fuse_reply_iov(read.request, parts.data(), static_cast<int>(parts.size()));
    if (fragment == nullptr) return;
    try {
        prefetcher_->after_reply(read.file);
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

void LibfuseSession::list_with_attributes(fuse_req_t request, fuse_ino_t node, std::size_t size,
                                          off_t offset) {
    using ListDetail = prefetch::Prefetcher::Detail;
    const auto list_everything = [this, request, node, size, offset,
                                  slot = RequestJournal::current()] {
        const RequestJournal::Work work(slot);
        handle_later(request, RequestKind::readdirplus, node, [&] {
            list(request, RequestKind::readdirplus, node, size, offset, Detail::everything);
        });
    };
    const auto detail =
        prefetcher_->on_listing(is_of_walker(request), offset == 0, list_everything);
    if (!detail) return;
    list(request, RequestKind::readdirplus, node, size, offset,
         *detail == ListDetail::directories ? Detail::directories : Detail::everything);
    prefetcher_->on_listed();
}

void LibfuseSession::on_readdir(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                                fuse_file_info* /*file*/) {
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
        if (!value) return session.reply_error(request, RequestKind::getxattr, node, value.error());
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
        if (!found) return session.reply_error(request, RequestKind::lseek, node, found.error());
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
        if (const std::size_t size = attribute_bytes(command); size != 0) {
            // Linux asks with 4 bytes where the command says 8.
            const std::array<char, sizeof(fsxattr)> none{};
            fuse_reply_ioctl(request, 0, none.data(), std::min(size, output_size));
            return;
        }
        if (command != static_cast<unsigned>(kStatisticsIoctl) || output_size < kStatisticsBytes) {
            fuse_reply_err(request, ENOTTY);
            return;
        }
        std::string text = session.statistics();
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
