// SPDX-License-Identifier: MIT
#include "fuse/worker.h"

namespace squenv::fuse {

namespace {
thread_local Worker* current_worker = nullptr;
}

Worker::Worker(ReaderTurn& turn, const Warming& warming, const cpu_set_t& all_processors)
    : turn_(turn), warming_(warming), all_processors_(all_processors) {
    current_worker = this;
}

Worker::~Worker() {
    current_worker = nullptr;
    if (has_turn()) turn_.pass(number_);
}

Worker* Worker::current() {
    return current_worker;
}

void Worker::prepare() {
    if (!has_turn()) number_ = turn_.take();
    was_slow_ = false;
    run_on(warming_.is_under_way ? warming_.processor : -1);
}

void Worker::finish() {
    if (!has_turn()) return;
    if (was_slow_) turn_.note_end_of_slow_work();
    // It may have been taken away while this thread was held up.
    if (!turn_.is_held(number_)) number_ = ReaderTurn::kNone;
}

void Worker::on_slow_work() {
    was_slow_ = true;
    if (!warming_.is_under_way && has_turn() && turn_.should_pass()) give_turn();
}

void Worker::give_turn() {
    if (!has_turn()) return;
    turn_.pass(number_);
    number_ = ReaderTurn::kNone;
}

void Worker::run_on(int processor) {
    if (processor == processor_) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    if (processor >= 0) CPU_SET(static_cast<unsigned>(processor), &one);
    ::sched_setaffinity(0, sizeof one, processor >= 0 ? &one : &all_processors_);
    processor_ = processor;
}

}  // namespace squenv::fuse
