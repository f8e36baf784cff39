// SPDX-License-Identifier: MIT
#pragma once

#include "fuse/file_system.h"
#include "fuse/reader_token.h"
#include "prefetch/page_cache.h"

struct fuse_session;

namespace squenv::fuse {

/// The page cache of one mount, by FUSE_NOTIFY_STORE. Thread-safe.
class NotifyStore final : public prefetch::KernelPages {
  public:
    /// All of them outlive it.
    NotifyStore(fuse_session& session, const FileSystem& file_system, ReaderToken& token)
        : session_(session), file_system_(file_system), token_(token) {}

    [[nodiscard]] bool store(prefetch::FileId file, std::uint64_t offset, ByteView bytes) override;
    [[nodiscard]] bool are_requests_waiting() const override { return token_.is_request_waiting(); }
    [[nodiscard]] bool is_receiving() const override;
    [[nodiscard]] bool store_while_receiving(prefetch::FileId file, std::uint64_t offset,
                                             ByteView bytes) override;
    void stop_receiving() override;

  private:
    fuse_session& session_;
    const FileSystem& file_system_;
    ReaderToken& token_;
};

}  // namespace squenv::fuse
