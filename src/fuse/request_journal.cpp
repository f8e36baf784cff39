// SPDX-License-Identifier: MIT
#include "fuse/request_journal.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace squenv::fuse {

namespace {

/// Until a slot is free again: held requests are answered within some milliseconds.
constexpr timespec kSlotPause{0, 200'000};

/// The number of this process, and where its next search begins.
std::uint32_t own_server = 0;
thread_local std::size_t next_slot = 0;
thread_local RequestJournal::Slot* current_slot = nullptr;

}  // namespace

std::span<std::byte> RequestJournal::Slot::request() {
    return {bytes_.data(), std::min<std::size_t>(header().len, bytes_.size())};
}

std::string_view RequestJournal::Slot::name() const {
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + sizeof(fuse_in_header);
    return {begin, ::strnlen(begin, kSlotBytes - sizeof(fuse_in_header))};
}

void RequestJournal::attach(std::uint32_t server) {
    own_server = server;
    // Without the right to lock memory the pages are resident now, and rarely taken away.
    (void)::mlock(this, sizeof *this);
    touch_pages();
}

/// Each process has page tables of its own: a write makes a page resident and writable in them.
void RequestJournal::touch_pages() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto* const bytes = reinterpret_cast<unsigned char*>(this);
    for (std::size_t at = 0; at < sizeof *this; at += page)
        std::atomic_ref(bytes[at]).fetch_or(0, std::memory_order_relaxed);
}

RequestJournal::Slot& RequestJournal::take() {
    for (;; ::nanosleep(&kSlotPause, nullptr)) {
        for (std::size_t look = 0; look < kSlots; ++look) {
            Slot& slot = slots_[next_slot];
            next_slot = (next_slot + 1) % kSlots;
            std::uint32_t expected = Slot::is_free;
            if (slot.state_ != Slot::is_free ||
                !slot.state_.compare_exchange_strong(expected, Slot::is_receiving))
                continue;
            slot.server_ = own_server;
            slot.crashes_ = slot.kills_ = 0;
            // Whether a request was received is read from it when this process has died meanwhile.
            std::memset(slot.bytes_.data(), 0, sizeof(fuse_in_header));
            next_slot = static_cast<std::size_t>(&slot - slots_.data());
            return slot;
        }
    }
}

ssize_t RequestJournal::receive(int device, Slot& slot, std::span<std::byte> overflow) {
    const iovec parts[] = {{slot.bytes_.data(), slot.bytes_.size()},
                           {overflow.data(), overflow.size()}};
    const ssize_t size = ::readv(device, parts, 2);
    if (size <= 0) {
        const int code = errno;
        release(slot);
        errno = code;
        return -1;
    }
    slot.state_.store(Slot::is_received, std::memory_order_release);
    return size;
}

RequestJournal::Slot* RequestJournal::current() {
    return current_slot;
}

RequestJournal::Work::Work(Slot* slot) : slot_(slot), outer_(current_slot) {
    current_slot = slot;
    if (slot == nullptr) return;
    unique_ = slot->header().unique;
    std::uint32_t expected = Slot::is_received;
    slot->state_.compare_exchange_strong(expected, Slot::is_working);
}

RequestJournal::Work::~Work() {
    const bool is_held = slot_ != nullptr && current_slot == slot_;
    current_slot = outer_;
    if (!is_held || slot_->header().unique != unique_) return;
    std::uint32_t expected = Slot::is_working;
    slot_->state_.compare_exchange_strong(expected, Slot::is_received);
}

void RequestJournal::release(Slot& slot) {
    slot.state_.store(Slot::is_free, std::memory_order_release);
}

void RequestJournal::on_answer(std::uint64_t unique) {
    answers_.fetch_add(1, std::memory_order_relaxed);
    const auto is_it = [unique](const Slot& slot) {
        return slot.state_ >= Slot::is_received && slot.header().unique == unique &&
               slot.server_ == own_server;
    };
    if (Slot* own = current_slot; own != nullptr && is_it(*own)) {
        current_slot = nullptr;
        return release(*own);
    }
    const auto found = std::find_if(slots_.begin(), slots_.end(), is_it);
    if (found != slots_.end()) release(*found);
}

std::vector<RequestJournal::Slot*> RequestJournal::adopt(bool are_gone) {
    std::vector<Slot*> adopted;
    for (Slot& slot : slots_) {
        const std::uint32_t state = slot.state_;
        if (state == Slot::is_free || slot.server_ == own_server) continue;
        if (state == Slot::is_receiving) {
            if (!are_gone) continue;
            if (slot.header().unique == 0 || slot.header().len < sizeof(fuse_in_header)) {
                release(slot);
                continue;
            }
        }
        slot.server_ = own_server;
        slot.state_ = Slot::is_received;
        adopted.push_back(&slot);
    }
    std::sort(adopted.begin(), adopted.end(), [](const Slot* a, const Slot* b) {
        return a->crashes_ + a->kills_ < b->crashes_ + b->kills_;
    });
    return adopted;
}

std::vector<std::uint64_t> RequestJournal::count_kill(std::uint32_t server) {
    std::vector<std::uint64_t> uniques;
    for (Slot& slot : slots_) {
        if (slot.state_ != Slot::is_working || slot.server_ != server) continue;
        slot.kills_.fetch_add(1);
        uniques.push_back(slot.header().unique);
    }
    return uniques;
}

void RequestJournal::count_crash(std::span<const std::uint64_t> uniques) {
    for (Slot& slot : slots_)
        if (slot.state_ >= Slot::is_received &&
            std::find(uniques.begin(), uniques.end(), slot.header().unique) != uniques.end())
            slot.crashes_.fetch_add(1);
}

void RequestJournal::save_init(ByteView request) {
    if (request.size() > kInitBytes) return;
    std::memcpy(init_request_.data(), request.data(), request.size());
    init_request_size_ = static_cast<std::uint32_t>(request.size());
}

void RequestJournal::save_init_answer(ByteView answer) {
    if (answer.size() > kInitBytes) return;
    std::memcpy(init_answer_.data(), answer.data(), answer.size());
    init_answer_size_ = static_cast<std::uint32_t>(answer.size());
}

std::span<std::byte> RequestJournal::init_request() {
    if (init_answer_size_ == 0) return {};
    return {init_request_.data(), init_request_size_};
}

ByteView RequestJournal::init_answer() const {
    return ByteView(init_answer_).first(init_answer_size_);
}

}  // namespace squenv::fuse
