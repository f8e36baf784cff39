// SPDX-License-Identifier: MIT
#include "pack/metadata_writer.h"

#include <algorithm>
#include <array>

#include "base/little_endian.h"
#include "format/bounds.h"
#include "format/metadata_header.h"

namespace squenv::pack {

format::Reference MetadataWriter::reference() const {
    return {stored_.size(), static_cast<std::uint16_t>(block_.size())};
}

Status MetadataWriter::append(ByteView bytes) {
    while (!bytes.empty()) {
        const std::size_t room = std::min(bytes.size(), format::kMetadataSize - block_.size());
        squenv::append(block_, bytes.first(room));
        bytes = bytes.subspan(room);
        if (block_.size() == format::kMetadataSize) SQUENV_TRY(end_block());
    }
    return {};
}

Status MetadataWriter::finish() {
    return block_.empty() ? Status() : end_block();
}

Status MetadataWriter::end_block() {
    std::array<std::byte, format::kMetadataSize> room;
    std::size_t size = 0;
    if (compressor_ != nullptr) {
        SQUENV_TRY_ASSIGN(
            size, compressor_->compress(block_, MutableBytes(room).first(block_.size() - 1)));
    }
    const ByteView payload = size != 0 ? ByteView(room).first(size) : ByteView(block_);
    const format::StoredSize stored{static_cast<std::uint32_t>(payload.size()), size != 0};
    starts_.push_back(stored_.size());
    squenv::append(stored_, Le16(format::encode_metadata_header(stored)));
    squenv::append(stored_, payload);
    block_.clear();
    if (stored_.size() >= format::kMaxTableBytes)
        return fail(Errc::limit, "a metadata table exceeds 4 GiB",
                    "pack fewer files into one image");
    return {};
}

}  // namespace squenv::pack
