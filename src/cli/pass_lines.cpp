// SPDX-License-Identifier: MIT
#include "cli/pass_lines.h"

#include <fmt/core.h>

#include "base/units.h"
#include "pack/pack.h"
#include "pack/threads.h"

namespace squenv::cli {

namespace {

const char* name_of(pack::Pass pass) {
    switch (pass) {
        case pack::Pass::scan: return "scan";
        case pack::Pass::order: return "order";
        case pack::Pass::store: return "store";
        case pack::Pass::tables: return "tables";
        case pack::Pass::sync: return "sync";
        case pack::Pass::verify: return "verify";
    }
    return "";
}

std::string counts(const pack::PassDone& done) {
    const pack::Report& report = done.report;
    switch (done.pass) {
        case pack::Pass::scan: return fmt::format("{} entries", report.entries);
        case pack::Pass::order:
            return fmt::format("{} files, {}", report.files, format_size(report.source_bytes));
        case pack::Pass::store:
            return fmt::format(
                "{} duplicates with {} left out, {} blocks in {} ({} of small files, {} as they "
                "are)",
                report.duplicate_files, format_size(report.duplicate_bytes), report.blocks,
                format_size(report.block_bytes), report.fragment_blocks, report.raw_blocks);
        case pack::Pass::tables:
            return fmt::format("{} inodes, {} with the appendix", report.inodes,
                               format_size(report.metadata_bytes));
        case pack::Pass::sync:
            return fmt::format("{} on the disk", format_size(report.image_bytes));
        case pack::Pass::verify: return fmt::format("{} files read back", report.files);
    }
    return {};
}

}  // namespace

std::string settings_line(const pack::Options& options) {
    const std::string codec =
        options.codec == pack::Codec::none
            ? std::string("not compressed")
            : fmt::format("{} level {}", pack::codec_name(options.codec), pack::level_of(options));
    return fmt::format("{}, blocks of {}; {} threads compress, {} read; {} for file data", codec,
                       format_size(options.block_size), pack::compressor_threads(options),
                       pack::reader_threads(options), format_size(pack::memory_of(options)));
}

std::string pass_line(const pack::PassDone& done) {
    return fmt::format("{}: {}; {:.3f} s", name_of(done.pass), counts(done), done.seconds);
}

}  // namespace squenv::cli
