// SPDX-License-Identifier: MIT
// How many requests of which kind the kernel sent: the figure this file system is built to keep
// small, so it is always counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace squenv::fuse {

enum class RequestKind : std::size_t {
    lookup,
    forget,
    getattr,
    readlink,
    open,
    read,
    opendir,
    readdir,
    readdirplus,
    statfs,
    getxattr,
    listxattr,
    access,
    lseek,
    ioctl,
    count,  ///< not a request: how many kinds there are
};

[[nodiscard]] constexpr const char* request_name(RequestKind kind) {
    constexpr std::array<const char*, static_cast<std::size_t>(RequestKind::count)> kNames{
        "lookup",      "forget", "getattr",  "readlink",  "open",   "read",  "opendir", "readdir",
        "readdirplus", "statfs", "getxattr", "listxattr", "access", "lseek", "ioctl"};
    return kNames[static_cast<std::size_t>(kind)];
}

/// Thread-safe.
class RequestCounters {
  public:
    void count(RequestKind kind, bool is_walker) {
        counts_[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
        if (is_walker)
            walker_counts_[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
    }
    void count_error() { errors_.fetch_add(1, std::memory_order_relaxed); }
    void count_bytes(std::uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t of(RequestKind kind) const {
        return counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
    }
    /// Those of the tree walker among them.
    [[nodiscard]] std::uint64_t of_walker(RequestKind kind) const {
        return walker_counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& count : counts_) sum += count.load(std::memory_order_relaxed);
        return sum;
    }
    /// Requests answered with EIO or another error that is not the normal answer.
    [[nodiscard]] std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
    /// Bytes of file content handed to the kernel.
    [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  private:
    using Counts =
        std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(RequestKind::count)>;
    Counts counts_{};
    Counts walker_counts_{};
    std::atomic<std::uint64_t> errors_{0};
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace squenv::fuse
