// SPDX-License-Identifier: MIT
// Small tar archives, made without a library.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace squenv::fuzz {

/// One member: a header and what follows it.
struct TarMember {
    std::string name;  ///< at most 100 bytes
    char type = '0';   ///< as the header has it
    std::string content{};
    std::string link{};  ///< at most 100 bytes
};

/// The members and the mark of the end.
[[nodiscard]] std::string tar_archive(const std::vector<TarMember>& members);

/// A pax header with these records, for the member that follows.
[[nodiscard]] TarMember pax_header(const std::vector<std::pair<std::string, std::string>>& records);

/// A member of GNU tar's old sparse format: `content` at `offset` of a file of `size_bytes`.
[[nodiscard]] std::string sparse_archive(const std::string& name, const std::string& content,
                                         std::uint64_t offset, std::uint64_t size_bytes);

}  // namespace squenv::fuzz
