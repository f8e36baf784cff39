// SPDX-License-Identifier: MIT
#include "fuse/worker.h"

namespace squenv::fuse {

namespace {
thread_local Worker* current_worker = nullptr;
}

Worker::Worker(ReaderToken& token, const WalkPlace& walk) : token_(token), walk_(walk) {
    current_worker = this;
}

Worker::~Worker() {
    current_worker = nullptr;
    if (has_token()) token_.pass(number_);
}

Worker* Worker::current() {
    return current_worker;
}

void Worker::prepare() {
    if (!has_token()) number_ = token_.take();
    was_slow_ = false;
    run_on(walk_.is_used() ? walk_.processor : -1);
}

void Worker::finish() {
    if (!has_token()) return;
    if (was_slow_) token_.note_end_of_slow_work();
    // It may have been taken away while this thread was held up.
    if (!token_.is_held(number_)) number_ = ReaderToken::kNone;
}

void Worker::on_slow_work() {
    was_slow_ = true;
    if (!walk_.is_used() && has_token() && token_.should_pass()) give_token();
}

void Worker::give_token() {
    if (!has_token()) return;
    token_.pass(number_);
    number_ = ReaderToken::kNone;
}

void Worker::run_on(int processor) {
    if (processor == processor_) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    if (processor >= 0) CPU_SET(static_cast<unsigned>(processor), &one);
    ::sched_setaffinity(0, sizeof one, processor >= 0 ? &one : &walk_.all_processors);
    processor_ = processor;
}

}  // namespace squenv::fuse
