// SPDX-License-Identifier: MIT
// A fixed set of threads that does jobs.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace squenv {

/// submit() blocks while `capacity` jobs wait, so that a fast producer cannot fill the memory. It
/// does the job itself when the system refused every thread.
/// Thread-safe. Jobs must not submit jobs themselves. What one of them throws (std::bad_alloc,
/// mostly) is thrown by finish(), or by submit() where that did the job.
class WorkQueue {
  public:
    WorkQueue(unsigned threads, std::size_t capacity);
    /// Finishes the submitted jobs.
    ~WorkQueue() { end(); }
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    void submit(std::function<void()> job);
    /// Returns when every job is done and the threads have ended; nothing may be submitted then.
    void finish();

  private:
    void work();
    void end();

    std::mutex mutex_;  ///< protects jobs_, is_finishing_ and thrown_
    std::condition_variable job_added_;
    std::condition_variable job_taken_;
    std::deque<std::function<void()>> jobs_;
    const std::size_t capacity_;
    bool is_finishing_ = false;
    std::exception_ptr thrown_;          ///< by a job, until finish() throws it
    std::vector<std::jthread> threads_;  ///< made by the constructor, ended by finish()
};

}  // namespace squenv
