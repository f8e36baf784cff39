// SPDX-License-Identifier: MIT
#include "pack/xattr_table.h"

#include "base/little_endian.h"
#include "pack/lookup_table.h"

namespace squenv::pack {

namespace {
/// A reference takes 8 bytes: shorter values gain nothing from being shared.
constexpr std::size_t kSharedValueSize = 8;
}  // namespace

Status XattrTable::write_pair(const XattrPair& pair) {
    const auto shared =
        pair.value.size() >= kSharedValueSize ? long_values_.find(pair.value) : long_values_.end();
    const bool is_out_of_line = shared != long_values_.end();
    ByteVector key;
    format::encode_xattr_key(
        key, {pair.prefix_id, is_out_of_line, static_cast<std::uint16_t>(pair.name.size())});
    append(key, as_bytes(pair.name));
    SQUENV_TRY(pairs_.append(key));

    const format::Reference place = pairs_.reference();
    ByteVector value;
    if (is_out_of_line) {
        append(value, Le32(8));
        append(value, Le64(shared->second.raw()));
    } else {
        append(value, Le32(static_cast<std::uint32_t>(pair.value.size())));
        append(value, as_bytes(pair.value));
        if (pair.value.size() >= kSharedValueSize) long_values_.emplace(pair.value, place);
    }
    return pairs_.append(value);
}

Result<std::uint32_t> XattrTable::id_of(std::uint32_t index) {
    const auto [id, is_new] = ids_.emplace(index, static_cast<std::uint32_t>(records_.size()));
    if (!is_new) return id->second;
    if (records_.size() >= format::kNoXattr - 1)
        return fail(Errc::limit, "more than 4294967294 sets of extended attributes");
    format::XattrSetRecord record;
    record.pairs = pairs_.reference();
    const XattrSet& set = sets_.at(index);
    record.pair_count = static_cast<std::uint32_t>(set.size());
    for (const XattrPair& pair : set) {
        SQUENV_TRY(write_pair(pair));
        // What stat() counts: the full name with its NUL, and the value.
        record.size_bytes +=
            static_cast<std::uint32_t>(format::xattr_prefix(pair.prefix_id)->size() +
                                       pair.name.size() + 1 + pair.value.size());
    }
    records_.push_back(record);
    return id->second;
}

Result<ByteVector> XattrTable::encode(std::uint64_t position, std::uint64_t& header_position) {
    SQUENV_TRY(pairs_.finish());
    ByteVector records;
    for (const auto& record : records_) format::encode_xattr_set(records, record);
    ByteVector header;
    format::encode_xattr_header(header, {position, static_cast<std::uint32_t>(records_.size())});
    ByteVector out = pairs_.bytes();
    SQUENV_TRY_ASSIGN(header_position,
                      append_lookup_table(out, position, records, header, compressor_));
    return out;
}

}  // namespace squenv::pack
