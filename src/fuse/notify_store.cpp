// SPDX-License-Identifier: MIT
#include "fuse/notify_store.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fuse/worker.h"

namespace squenv::fuse {

bool NotifyStore::store(prefetch::FileId file, std::uint64_t offset, ByteView bytes) {
    fuse_bufvec buffers = FUSE_BUFVEC_INIT(bytes.size());
    buffers.buf[0].mem = const_cast<std::byte*>(bytes.data());
    const NodeId node = file_system_.node_id(format::Reference::from_raw(file));
    return fuse_lowlevel_notify_store(&session_, node, static_cast<off_t>(offset), &buffers,
                                      static_cast<fuse_buf_copy_flags>(0)) == 0;
}

bool NotifyStore::is_receiving() const {
    const Worker* worker = Worker::current();
    return worker != nullptr && worker->has_token();
}

bool NotifyStore::store_while_receiving(prefetch::FileId file, std::uint64_t offset,
                                        ByteView bytes) {
    const ReaderToken::Guard guard(token_, Worker::current()->token_number());
    return store(file, offset, bytes);
}

void NotifyStore::stop_receiving() {
    if (Worker* worker = Worker::current(); worker != nullptr) worker->give_token();
}

}  // namespace squenv::fuse
