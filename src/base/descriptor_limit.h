// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>

namespace squenv {

/// As many open descriptors as the process may have, for as long as this lives. The soft limit is
/// usually 1,024, for the sake of programs that use select(2). Not for two threads at once.
class RaisedDescriptorLimit {
  public:
    RaisedDescriptorLimit() {
        has_changed_ = ::getrlimit(RLIMIT_NOFILE, &before_) == 0;
        rlimit raised = before_;
        raised.rlim_cur = raised.rlim_max;
        has_changed_ = has_changed_ && ::setrlimit(RLIMIT_NOFILE, &raised) == 0;
    }
    RaisedDescriptorLimit(const RaisedDescriptorLimit&) = delete;
    RaisedDescriptorLimit& operator=(const RaisedDescriptorLimit&) = delete;
    ~RaisedDescriptorLimit() {
        if (has_changed_) ::setrlimit(RLIMIT_NOFILE, &before_);
    }

  private:
    rlimit before_{};
    bool has_changed_ = false;
};

}  // namespace squenv
