// SPDX-License-Identifier: MIT
#include "base/work_queue.h"

#include <algorithm>
#include <utility>

#include "base/threads.h"

namespace squenv {

WorkQueue::WorkQueue(unsigned threads, std::size_t capacity) : capacity_(capacity) {
    start_threads(threads_, std::max(threads, 1U), [this] { work(); });
}

void WorkQueue::submit(std::function<void()> job) {
    if (threads_.empty()) {
        job();
        return;
    }
    std::unique_lock lock(mutex_);
    job_taken_.wait(lock, [this] { return jobs_.size() < capacity_; });
    jobs_.push_back(std::move(job));
    job_added_.notify_one();
}

void WorkQueue::finish() {
    end();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void WorkQueue::end() {
    {
        std::lock_guard lock(mutex_);
        is_finishing_ = true;
    }
    job_added_.notify_all();
    threads_.clear();
}

void WorkQueue::work() {
    for (;;) {
        std::function<void()> job;
        {
            std::unique_lock lock(mutex_);
            job_added_.wait(lock, [this] { return !jobs_.empty() || is_finishing_; });
            if (jobs_.empty()) return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job_taken_.notify_one();
        try {
            job();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!thrown_) thrown_ = std::current_exception();
        }
    }
}

}  // namespace squenv
