// SPDX-License-Identifier: MIT
#include "base/slow_work.h"

namespace squenv {

namespace {
SlowWorkObserver*& current() {
    thread_local SlowWorkObserver* observer = nullptr;
    return observer;
}
}  // namespace

SlowWorkObserver::SlowWorkObserver() : previous_(current()) {
    current() = this;
}

SlowWorkObserver::~SlowWorkObserver() {
    current() = previous_;
}

void announce_slow_work() {
    if (auto* observer = current(); observer != nullptr) observer->on_slow_work();
}

}  // namespace squenv
