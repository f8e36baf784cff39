// SPDX-License-Identifier: MIT
// Images in memory, and storage that fails on demand.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "image/byte_source.h"

namespace squenv::test {

/// What a test does to a source while an image is open on it. Thread-safe.
struct Faults {
    std::atomic<std::uint64_t> reads{0};
    /// The read with this number fails with EIO, counted from 1. 0: none.
    std::atomic<std::uint64_t> fail_read{0};
    std::atomic<bool> fail_all{false};
    std::atomic<int> sys_errno{EIO};
    /// Where the file ends now; reads behind it fail as a file that became shorter does.
    std::atomic<std::uint64_t> end{~std::uint64_t{0}};
    /// How many parts the last announcement had, and how many announcements had some.
    std::atomic<std::size_t> told{0};
    std::atomic<unsigned> announcements{0};
};

/// Thread-safe.
class MemorySource final : public image::ByteSource {
  public:
    explicit MemorySource(ByteVector bytes, std::shared_ptr<Faults> faults = nullptr)
        : bytes_(std::move(bytes)),
          faults_(faults ? std::move(faults) : std::make_shared<Faults>()) {}

    [[nodiscard]] Status read_exact(std::uint64_t position, MutableBytes out) const override {
        const std::uint64_t number = ++faults_->reads;
        bytes_read_ += out.size();
        if (faults_->fail_all || number == faults_->fail_read)
            return tl::unexpected(Error{Errc::io, faults_->sys_errno, "storage", {}});
        const std::uint64_t end = std::min<std::uint64_t>(bytes_.size(), faults_->end);
        if (!fits(position, out.size(), end)) return fail(Errc::io, "the file ends before");
        if (!out.empty()) std::memcpy(out.data(), bytes_.data() + position, out.size());
        return {};
    }
    [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
    void expect(std::span<const image::ByteRange> parts) const override {
        faults_->told = parts.size();
        if (!parts.empty()) ++faults_->announcements;
    }
    [[nodiscard]] bool has_changed() const override { return faults_->end != ~std::uint64_t{0}; }
    [[nodiscard]] image::SourceCounters counters() const override {
        return {faults_->reads, bytes_read_};
    }

  private:
    ByteVector bytes_;
    std::shared_ptr<Faults> faults_;
    mutable std::atomic<std::uint64_t> bytes_read_{0};
};

}  // namespace squenv::test
