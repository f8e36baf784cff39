// SPDX-License-Identifier: MIT
#include "pack/content.h"

#include <fmt/core.h>

#include <limits>

#include "base/checked.h"

namespace squenv::pack {

Result<BlockWords> BlockWords::make(std::uint64_t count) {
    BlockWords words;
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(std::uint32_t))
        return fail(Errc::limit, "too many blocks", "use larger blocks");
    words.words_.reset(static_cast<std::uint32_t*>(
        std::calloc(static_cast<std::size_t>(count) + 1, sizeof(std::uint32_t))));
    if (!words.words_)
        return fail_memory(fmt::format("{} block sizes", count), "use larger blocks");
    return words;
}

Result<Contents> make_contents(Tree& tree, const std::vector<EntryId>& files,
                               std::uint32_t block_size) {
    Contents contents;
    contents.files.reserve(files.size());
    std::uint64_t words = 0;
    for (const EntryId id : files) {
        Node& node = tree.at(id);
        const std::uint64_t blocks = ceil_div(node.size_bytes, block_size);
        // The kernel counts the blocks of a file in an int.
        if (blocks > std::numeric_limits<std::int32_t>::max())
            return fail(Errc::limit,
                        fmt::format("{}: {} bytes are more than 2^31 blocks of {} bytes",
                                    tree.path_of(id), node.size_bytes, block_size),
                        "use larger blocks");
        Content content;
        content.node = id;
        content.size_bytes = node.size_bytes;
        content.kind = kind_of(node.name_view());
        content.first_word = words;
        node.content = static_cast<std::uint32_t>(contents.files.size());
        words += blocks;
        contents.files.push_back(content);
    }
    SQUENV_TRY_ASSIGN(contents.words, BlockWords::make(words));
    return contents;
}

}  // namespace squenv::pack
