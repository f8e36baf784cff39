// SPDX-License-Identifier: MIT
#include "pack/report.h"

namespace squenv::pack {

void count_files(const Contents& contents, Report& report) {
    report.files = 0;
    report.source_bytes = 0;
    for (const Content& content : contents.files) {
        if (content.has_failed) continue;
        ++report.files;
        report.source_bytes += content.size_bytes;
    }
}

void count_directories(const Tree& tree, Report& report) {
    report.directories = 0;
    for_each_directory_children_first(tree, [&](EntryId) { ++report.directories; });
}

void count_blocks(const Stored& stored, const Contents& contents, Report& report) {
    report.duplicate_files = stored.duplicate_files;
    report.duplicate_bytes = stored.duplicate_bytes;
    report.blocks = stored.blocks;
    report.fragment_blocks = contents.fragments.size();
    report.raw_blocks = stored.raw_blocks;
    report.block_bytes = stored.block_bytes;
}

}  // namespace squenv::pack
