// SPDX-License-Identifier: MIT
// The requests that were received and not answered yet, in memory that outlives their process.
#pragma once

#include <linux/fuse.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace squenv::fuse {

/// A request that the kernel has handed out is answered by its reader or by no process: the caller
/// waits, and cannot be killed. So a request is received into a slot of this journal, and a server
/// that takes over from a dead one answers what it finds there. Every request is a read, so that a
/// second answer does no harm: the kernel refuses it with ENOENT.
///
/// The bytes of a slot are resident in each server. The kernel copies a request into a page that is
/// resident even for a process that is being killed; otherwise the caller would get EIO.
///
/// Lives in memory that is zero at first and shared by all servers. Thread-safe.
class RequestJournal {
  public:
    /// More than the threads of a server and the requests that are held.
    static constexpr std::size_t kSlots = 128;
    /// The largest request that is needed whole: a header, the arguments and a name of 255 bytes.
    static constexpr std::size_t kSlotBytes = 512;
    /// Beside a slot, the kernel wants room for 8 KiB, and takes an ioctl of up to 16 KiB.
    static constexpr std::size_t kOverflowBytes = 16 << 10;
    /// A request is given up when this many servers crashed while they worked on it, or were
    /// killed, which may be by chance.
    static constexpr std::uint32_t kMaxCrashes = 3;
    static constexpr std::uint32_t kMaxKills = 10;

    class Slot {
      public:
        [[nodiscard]] const fuse_in_header& header() const {
            return *reinterpret_cast<const fuse_in_header*>(bytes_.data());
        }
        /// The request; of a very large one, its begin.
        [[nodiscard]] std::span<std::byte> request();
        /// What follows the header and the fixed arguments of a LOOKUP.
        [[nodiscard]] std::string_view name() const;
        /// Whether it is to be answered with EIO.
        [[nodiscard]] bool is_given_up() const {
            return crashes_ >= kMaxCrashes || kills_ >= kMaxKills;
        }

      private:
        friend class RequestJournal;
        enum State : std::uint32_t { is_free, is_receiving, is_received, is_working };

        std::atomic<std::uint32_t> state_;
        std::atomic<std::uint32_t> server_;  ///< that owns the slot
        std::atomic<std::uint32_t> crashes_;
        std::atomic<std::uint32_t> kills_;
        alignas(8) std::array<std::byte, kSlotBytes> bytes_;
    };

    /// The calling process is `server` from now on, a number above that of all servers before it.
    /// Makes the slots resident. Before any thread exists.
    void attach(std::uint32_t server);

    /// A free slot, for the calling thread to receive into. Waits while there is none.
    [[nodiscard]] Slot& take();
    /// Receives one request. Returns its size; -1 with errno set and the slot free again when there
    /// is none. `overflow` has kOverflowBytes.
    [[nodiscard]] ssize_t receive(int device, Slot& slot, std::span<std::byte> overflow);
    /// The slot that the calling thread works on. Nothing when it is another one's work.
    [[nodiscard]] static Slot* current();
    /// While a Work lives, the calling thread works on the slot.
    class Work {
      public:
        explicit Work(Slot* slot);
        ~Work();
        Work(const Work&) = delete;
        Work& operator=(const Work&) = delete;

      private:
        Slot* slot_;
        Slot* outer_;
        std::uint64_t unique_ = 0;
    };
    /// The request needs no answer.
    static void release(Slot& slot);
    /// The answer to the request was sent.
    void on_answer(std::uint64_t unique);
    /// Answers sent by all servers.
    [[nodiscard]] std::uint64_t answers() const { return answers_; }

    /// Takes over the requests of dead servers, those that were worked on most often last. Requests
    /// whose receipt was under way are left, unless `are_gone`: all threads of the dead are gone.
    [[nodiscard]] std::vector<Slot*> adopt(bool are_gone);

    /// A dead server was working on these requests, by their unique numbers. Counts a kill for
    /// each.
    [[nodiscard]] std::vector<std::uint64_t> count_kill(std::uint32_t server);
    /// It has turned out that the server had crashed by itself.
    void count_crash(std::span<const std::uint64_t> uniques);

    /// The first request, INIT, and its answer; the kernel never sends it again.
    void save_init(ByteView request);
    void save_init_answer(ByteView answer);
    /// Empty before INIT was answered.
    [[nodiscard]] std::span<std::byte> init_request();
    [[nodiscard]] ByteView init_answer() const;

  private:
    static constexpr std::size_t kInitBytes = 256;

    void touch_pages();

    std::atomic<std::uint64_t> answers_;
    std::atomic<std::uint32_t> init_request_size_;
    std::atomic<std::uint32_t> init_answer_size_;
    alignas(8) std::array<std::byte, kInitBytes> init_request_;
    alignas(8) std::array<std::byte, kInitBytes> init_answer_;
    std::array<Slot, kSlots> slots_;
};

}  // namespace squenv::fuse
