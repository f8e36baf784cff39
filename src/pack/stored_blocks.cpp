// SPDX-License-Identifier: MIT
#include "pack/stored_blocks.h"

#include <map>
#include <tuple>
#include <utility>

namespace squenv::pack {

Result<std::vector<StoredFile>> find_stored_files(const Tree& tree, const StoredBlocks& blocks,
                                                  Contents& contents) {
    std::vector<StoredFile> files;
    std::map<std::tuple<std::uint64_t, std::uint32_t, std::uint32_t, std::uint64_t>, std::uint32_t>
        first;
    for (std::uint32_t i = 0; i < contents.files.size(); ++i) {
        Content& content = contents.files[i];
        if (content.size_bytes == 0) continue;
        SQUENV_TRY_ASSIGN(auto stored, blocks.file(tree.at(content.node)));
        if (!stored) continue;
        content.taken = static_cast<std::uint32_t>(files.size());
        const bool is_stored = stored->start != 0 || stored->fragment != format::kNoFragment;
        const auto [place, is_new] =
            first.emplace(std::tuple(stored->start, stored->fragment, stored->fragment_offset,
                                     content.size_bytes),
                          i);
        // A file of holes is stored nowhere, and shares nothing.
        if (!is_new && is_stored) content.same_as = place->second;
        files.push_back(std::move(*stored));
    }
    return files;
}

}  // namespace squenv::pack
