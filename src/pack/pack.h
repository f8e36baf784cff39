// SPDX-License-Identifier: MIT
// From a source to an image: the list of passes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/seen_directory.h"
#include "pack/content.h"
#include "pack/duplicates.h"
#include "pack/image_writer.h"
#include "pack/output_file.h"
#include "pack/source.h"
#include "squenv/pack.h"

namespace squenv::pack {

/// Why there is no image: the error, and every file that could not be packed until then.
struct PackFailure {
    /// Not explicit: a pass that fails returns its error alone.
    PackFailure(Error reason, std::vector<Finding> files = {})
        : error(std::move(reason)), findings(std::move(files)) {}
    Error error;
    std::vector<Finding> findings;
};
using PackResult = tl::expected<Report, PackFailure>;

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
/// With `prepared`, a writer of that output with the stored blocks of the source adopted, those
/// stay where they are, unless too many of them are dropped. With `replace`, and an output that may
/// be replaced, that gives the image its name. Errors: invalid_argument (options), exists, denied,
/// limit, io, cancelled; busy or denied with findings when files of the source could not be read or
/// changed meanwhile; those of `verify`.
[[nodiscard]] PackResult pack(Source& source, const std::string& output, const Options& options,
                              const Verify& verify = {}, const Replace& replace = {},
                              ImageWriter* prepared = nullptr);

/// The directory at `path` as the source of an image at `output`, which is no part of it. `overlay`
/// and `observer` as open_directory_source() has them; the options must outlive the source.
/// Errors: as open_directory_source().
[[nodiscard]] Result<std::unique_ptr<Source>> open_directory(const std::string& path,
                                                             const std::string& output,
                                                             const Options& options,
                                                             const std::string& overlay = {},
                                                             TreeObserver* observer = nullptr);

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
