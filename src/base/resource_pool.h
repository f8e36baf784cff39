// SPDX-License-Identifier: MIT
// Reuse of objects that are expensive to make (decoder contexts, buffers).
#pragma once

#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace squenv {

/// Thread-safe. Holds at most as many idle objects as were ever in use at once.
template <class T, class Deleter = std::default_delete<T>>
class ResourcePool {
  public:
    using Pointer = std::unique_ptr<T, Deleter>;

    /// An object on loan; goes back to the pool when destroyed. Must not outlive the pool.
    class Loan {
      public:
        Loan(ResourcePool& pool, Pointer object) : pool_(&pool), object_(std::move(object)) {}
        Loan(Loan&&) noexcept = default;
        Loan& operator=(Loan&&) = delete;
        ~Loan() {
            if (object_) pool_->give_back(std::move(object_));
        }
        typename Pointer::pointer get() const { return object_.get(); }
        typename Pointer::pointer operator->() const { return object_.get(); }
        explicit operator bool() const { return object_ != nullptr; }

      private:
        ResourcePool* pool_;
        Pointer object_;
    };

    /// An idle object, or what `make()` returns (a null pointer is passed on).
    template <class Make>
    [[nodiscard]] Loan borrow(Make&& make) {
        {
            std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Pointer object = std::move(idle_.back());
                idle_.pop_back();
                return Loan(*this, std::move(object));
            }
        }
        return Loan(*this, Pointer(make()));
    }

  private:
    void give_back(Pointer object) noexcept {
        std::lock_guard lock(mutex_);
        try {
            idle_.push_back(std::move(object));
        } catch (const std::bad_alloc&) {
            // Destructors call this and must not throw: the object is freed instead.
        }
    }

    std::mutex mutex_;  ///< protects idle_
    std::vector<Pointer> idle_;
};

}  // namespace squenv
