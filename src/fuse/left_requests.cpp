// SPDX-License-Identifier: MIT
// What a server answers for the one that died before it.
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "fuse/libfuse_session.h"
#include "image/first_paths.h"

namespace squenv::fuse {

namespace {

/// Requests that have no answer. An interrupt is none of ours either: requests are answered soon.
bool has_no_answer(std::uint32_t opcode) {
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

const char* opcode_name(std::uint32_t opcode) {
    switch (opcode) {
        case FUSE_LOOKUP: return "lookup";
        case FUSE_GETATTR: return "getattr";
        case FUSE_READLINK: return "readlink";
        case FUSE_READ: return "read";
        case FUSE_READDIR:
        case FUSE_READDIRPLUS: return "listing";
        case FUSE_GETXATTR:
        case FUSE_LISTXATTR: return "xattr";
        default: return "request";
    }
}

}  // namespace

Status LibfuseSession::take_over() {
    if (journal_ == nullptr) return {};
    SQUENV_TRY(repeat_init());
    answer_left(options_.are_others_gone);
    const Clock::rep death = memory_.death;
    if (death != 0) memory_.takeover = Clock::now().time_since_epoch().count() - death;
    return {};
}

Status LibfuseSession::repeat_init() {
    const auto request = journal_->init_request();
    if (request.empty() || channel_.is_ready()) return {};
    channel_.repeat_init();
    fuse_buf buffer{};
    buffer.mem = request.data();
    buffer.size = request.size();
    fuse_session_process_buf(session_, &buffer);
    if (channel_.is_ready()) return {};
    return fail(Errc::environment,
                "this program negotiates otherwise with the kernel than the one that mounted",
                "unmount, and mount again");
}

void LibfuseSession::answer_left(bool are_gone) {
    for (auto* slot : journal_->adopt(are_gone)) {
        if (slot->is_given_up())
            give_up(*slot);
        else if (slot->header().opcode == FUSE_INIT && channel_.is_ready())
            answer_saved_init(*slot);
        else
            process(*slot);
    }
}

/// The server died between the two: the answer is settled, and perhaps not sent.
void LibfuseSession::answer_saved_init(RequestJournal::Slot& slot) {
    const ByteView answer = journal_->init_answer();
    fuse_out_header header{static_cast<std::uint32_t>(sizeof header + answer.size()), 0,
                           slot.header().unique};
    iovec parts[] = {{&header, sizeof header},
                     {const_cast<std::byte*>(answer.data()), answer.size()}};
    (void)channel_.writev(device_, parts, 2);
}

void LibfuseSession::process(RequestJournal::Slot& slot) {
    const auto opcode = slot.header().opcode;
    if (has_no_answer(opcode)) {
        if (opcode != FUSE_INTERRUPT) counters_.count(RequestKind::forget, false);
        return RequestJournal::release(slot);
    }
    if (opcode == FUSE_INIT) journal_->save_init(slot.request());
    const RequestJournal::Work work(&slot);
    fuse_buf buffer{};
    buffer.mem = slot.request().data();
    buffer.size = slot.request().size();
    fuse_session_process_buf(session_, &buffer);
}

void LibfuseSession::give_up(RequestJournal::Slot& slot) {
    const fuse_in_header& request = slot.header();
    GivenUp given_up{request.opcode, request.nodeid, {}};
    if (request.opcode == FUSE_LOOKUP) given_up.name = slot.name();
    given_up_.push_back(std::move(given_up));
    fuse_out_header header{sizeof header, -EIO, request.unique};
    iovec part{&header, sizeof header};
    (void)channel_.writev(device_, &part, 1);
    counters_.count_error();
}

/// Paths are looked for when everything is answered: the image may be damaged there, too.
void LibfuseSession::log_given_up() {
    const auto all = std::exchange(given_up_, {});
    if (all.empty()) return;
    image::PathsByInode paths;
    for (const auto& one : all) paths.try_emplace(file_system_.reference(one.node).raw());
    (void)image::find_first_paths(file_system_.image(), paths);
    for (const auto& [opcode, node, name] : all) {
        std::string path = paths[file_system_.reference(node).raw()];
        if (path.empty()) path = fmt::format("node {:#x}", node);
        if (!name.empty()) path += '/' + name;
        log::error("{}: {} of {}: servers died of it; it is answered with an I/O error",
                   options_.name, opcode_name(opcode), path);
    }
}

}  // namespace squenv::fuse
