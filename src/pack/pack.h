// SPDX-License-Identifier: MIT
// From a source to an image: the list of passes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pack/content.h"
#include "pack/duplicates.h"
#include "pack/source.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// A tree that could not be packed as it is: the error, and every file it is about.
struct PackFailure {
    Error error;
    std::vector<Finding> findings;
};

/// What a finished image has to say about the files in it.
struct Expectation {
    const Tree& tree;
    const Contents& contents;
    const std::vector<Hash128>& hashes;  ///< ContentHash by content
    const FileHasher& hasher;
    const Options& options;
};
/// Re-reads the image at `path`, which is complete but has not got its name yet.
using Verify = std::function<Status(const std::string& path, const Expectation& expected)>;

/// Packs `source` into an image at `output`. On failure no file of that name is made or changed.
/// Errors: invalid_argument (options), exists, denied, limit, io, cancelled; busy or denied with
/// findings when files of the source could not be read or changed meanwhile; those of `verify`.
[[nodiscard]] tl::expected<Report, PackFailure> pack(Source& source, const std::string& output,
                                                     const Options& options,
                                                     const Verify& verify = {});

/// Packs the directory at `path`, with the files in `overlay` as open_directory_source() has it.
/// Errors: as pack().
[[nodiscard]] tl::expected<Report, PackFailure> pack_directory(const std::string& path,
                                                               const std::string& output,
                                                               const Options& options,
                                                               const Verify& verify = {},
                                                               const std::string& overlay = {});

/// Checks what can be checked before anything is read. Errors: invalid_argument, unsupported.
[[nodiscard]] Status check(const Options& options);

/// Whether an image can be made at `output`, for telling early. Errors: exists, denied, not_found,
/// invalid_argument.
[[nodiscard]] Status check_output(const std::string& output, const Options& options);

/// "zstd" and so on; none for a name that is not a codec.
[[nodiscard]] std::optional<Codec> codec_of(std::string_view name);
[[nodiscard]] const char* codec_name(Codec codec);
/// The level in force: the one asked for, or the codec's preset.
[[nodiscard]] int level_of(const Options& options);

}  // namespace squenv::pack
