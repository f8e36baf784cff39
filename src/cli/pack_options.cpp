// SPDX-License-Identifier: MIT
#include "cli/pack_options.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/environment.h"
#include "base/paths.h"
#include "base/units.h"
#include "pack/exclude.h"
#include "pack/pack.h"

namespace squenv::cli {

namespace {

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
/// As extract and verify.
constexpr unsigned kMaxThreads = 256;
constexpr int kMaxOptimization = 2;

/// The next one means "no id" to every system call.
constexpr std::uint64_t kMaxId = kMax32 - 1;

Result<pack::Ownership> parse_owner(const std::string& text) {
    pack::Ownership owner;
    if (text == "keep") return owner;
    owner.kind = pack::Ownership::Kind::fixed;
    if (text == "root") return owner;
    const auto colon = text.find(':');
    const auto uid = parse_number(text.substr(0, colon), kMaxId);
    const auto gid =
        colon == std::string::npos ? uid : parse_number(text.substr(colon + 1), kMaxId);
    if (colon == std::string::npos || !uid || !gid)
        return fail(Errc::invalid_argument, fmt::format("'{}' is not an owner", text),
                    "write keep, root or UID:GID with numbers");
    owner.uid = static_cast<std::uint32_t>(*uid);
    owner.gid = static_cast<std::uint32_t>(*gid);
    return owner;
}

Result<std::uint32_t> parse_time(const std::string& text, const char* what) {
    const auto seconds = parse_number(text, kMax32);
    if (!seconds) return with_context(seconds.error(), what);
    return static_cast<std::uint32_t>(*seconds);
}

Result<int> parse_level(const std::string& text) {
    int level = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, level);
    if (error != std::errc{} || rest != end)
        return fail(Errc::invalid_argument, fmt::format("'{}' is not a level", text));
    return level;
}

bool is_utf8(const std::string& text) {
    try {
        (void)nlohmann::json(text).dump();
        return true;
    } catch (const nlohmann::json::type_error&) {
        return false;
    }
}

std::string without_slashes(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

}  // namespace

PackArguments PackArguments::of_tree(const OfTree& tree) {
    PackArguments arguments;
    arguments.directory_ = tree.directory;
    arguments.output_ = tree.output;
    arguments.mount_point_ = tree.mount_point;
    arguments.warm_ = tree.warm;
    arguments.is_forced_ = tree.is_forced;
    arguments.keeps_ = tree.keeps;
    return arguments;
}

void PackArguments::declare(Options options) {
    options.add("DIR", directory_, "The tree to pack");
    options.add("-o,--output", output_, "The image; default: DIR.squashfs").type_name("IMAGE");
    options.add("--tar", archive_, "Pack a tar archive; - is the standard input").type_name("FILE");
    options.add("--from-image", image_, "Pack what is in another image").type_name("IMAGE");
    options.add_flag("-f,--force", is_forced_, "Replace the image when it exists");
    options.add_flag("--keep", keeps_, "With -f: keep what is replaced as a version");
    declare_image(options);
    declare_selection(options);
    options.add("-j,--jobs", jobs_, "Threads that compress; default: all")
        .type_name("N")
        .range(1U, kMaxThreads);
    options.add("--readers", readers_, "Threads that read files")
        .type_name("N")
        .range(1U, kMaxThreads);
    options.add("--memory", memory_, "For file data under way (12M for two threads)")
        .type_name("SIZE");
    options.add_flag("--compile", compile_, "Compile all modules first; =0,1,2: for -O and -OO");
    options.add_flag("--verify", verifies_, "Read the image back and compare");
    options.add_flag("--json", is_json_, "Print the summary as a JSON object");
}

void PackArguments::declare_image(Options options) {
    options.add("--codec", codec_, "zstd, gzip, xz, lz4, lzo or none").type_name("CODEC");
    options.add("--level", level_, "Of the codec; zstd: 1 to 22 (3)").type_name("N");
    options.add("-b,--block-size", block_size_, "4K to 1M, a power of two (256K)")
        .type_name("SIZE");
    options.add_flag("--no-fragments", has_no_fragments_, "Give small files blocks of their own");
    options.add_flag("--no-duplicates", has_no_duplicates_, "Store files again that are the same");
    options.add_flag("--no-appendix", has_no_appendix_, "Record no path and no digests");
    options.add("--mount-point", mount_point_, "The path to record; default: DIR's own")
        .type_name("PATH");
    options.add("--hot", hot_, "A trace of what to store first; repeatable")
        .type_name("FILE")
        .one_value_each();
    options.add("--warm", warm_, "Record this command, store what it needs first")
        .type_name("COMMAND");
    options.add("--owner", owner_, "keep, root or UID:GID (keep)").type_name("OWNER");
    options.add("--mtime", mtime_, "Every file's time, in seconds since 1970").type_name("SECONDS");
}

void PackArguments::declare_selection(Options options) {
    options.add("-x,--exclude", exclude_, "Leave out, as in .gitignore; repeatable")
        .type_name("GLOB")
        .one_value_each();
    options.add("--exclude-from", exclude_from_, "A file of such globs; repeatable")
        .type_name("FILE")
        .one_value_each();
    options.add_flag("-X,--one-file-system", stays_on_file_system_, "Do not enter mount points");
    options.add_flag("--ignore-unreadable", ignores_unreadable_, "Leave out what cannot be read");
    options.add_flag("--strict", is_strict_, "Fail when attributes would be lost");
}

Result<std::vector<int>> PackArguments::compile_levels() const {
    // CLI11 gives a flag without a value this one.
    const std::string text = compile_ == "true" ? "0" : compile_;
    std::set<int> levels;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const auto level = parse_level(part);
        if (!level || *level < 0 || *level > kMaxOptimization)
            return fail(Errc::invalid_argument, fmt::format("--compile: '{}' is not a level", part),
                        "write one or more of 0, 1 and 2, as in --compile=0,1,2");
        levels.insert(*level);
    }
    return std::vector<int>(levels.begin(), levels.end());
}

Result<std::string> PackArguments::tree() const {
    if (directory_.empty()) return std::string();
    const std::string path = without_slashes(directory_);
    const auto slash = path.rfind('/');
    const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
    if (name.empty() || name == "." || name == "..") return existing_path(path);
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    SQUENV_TRY_ASSIGN(const std::string real, existing_path(parent));
    return real == "/" ? real + name : real + '/' + name;
}

Result<std::string> PackArguments::output() const {
    if (!output_.empty()) return output_;
    SQUENV_TRY_ASSIGN(const std::string path, tree());
    if (path.empty() || path == "/")
        return fail(Errc::invalid_argument, "no name for the image", "choose one with -o");
    return path + ".squashfs";
}

Status PackArguments::check_source() const {
    const int sources =
        (directory_.empty() ? 0 : 1) + (archive_.empty() ? 0 : 1) + (image_.empty() ? 0 : 1);
    if (sources != 1)
        return fail(Errc::invalid_argument, "name one thing to pack",
                    "a directory, --tar FILE or --from-image IMAGE");
    if (compiles() && directory_.empty())
        return fail(Errc::invalid_argument, "--compile needs a directory");
    SQUENV_TRY(compile_levels());
    return {};
}

/// An option that would do nothing was meant otherwise.
Status PackArguments::check_combinations() const {
    if ((!warm_.empty() || !hot_.empty()) && has_no_appendix_)
        return fail(Errc::invalid_argument, "--no-appendix leaves no place for a list of hot files",
                    "leave it out");
    const auto useless = [](const char* option, const char* with) {
        return fail(Errc::invalid_argument, fmt::format("{} means nothing with {}", option, with),
                    "leave one of them out");
    };
    if (!level_.empty() && codec_ == "none") return useless("--level", "--codec none");
    if (!mount_point_.empty() && has_no_appendix_) return useless("--mount-point", "--no-appendix");
    if (keeps_ && !is_forced_)
        return fail(Errc::invalid_argument, "--keep keeps what --force replaces",
                    "add --force, or leave it out");
    if (stays_on_file_system_ && directory_.empty())
        return useless("--one-file-system", archive_.empty() ? "--from-image" : "--tar");
    return {};
}

Status PackArguments::set_encoding(pack::Options& options) const {
    const auto codec = pack::codec_of(codec_);
    if (!codec)
        return fail(Errc::invalid_argument, fmt::format("'{}' is not a codec", codec_),
                    "choose zstd, gzip, xz, lz4, lzo or none");
    options.codec = *codec;
    if (!level_.empty()) {
        SQUENV_TRY_ASSIGN(options.level, parse_level(level_));
    }
    SQUENV_TRY_ASSIGN(const std::uint64_t block_size, parse_size(block_size_));
    options.block_size = static_cast<std::uint32_t>(std::min(block_size, kMax32));
    if (!memory_.empty()) {
        SQUENV_TRY_ASSIGN(options.memory_bytes, parse_size(memory_));
    }
    options.jobs = jobs_;
    options.readers = readers_;
    options.has_fragments = !has_no_fragments_;
    options.has_duplicates_removed = !has_no_duplicates_;
    options.has_appendix = !has_no_appendix_;
    return {};
}

Status PackArguments::set_attributes(pack::Options& options) const {
    SQUENV_TRY_ASSIGN(options.owner, parse_owner(owner_));
    if (!mtime_.empty()) {
        SQUENV_TRY_ASSIGN(options.mtime, parse_time(mtime_, "--mtime"));
    }
    if (const auto epoch = environment_variable("SOURCE_DATE_EPOCH"); !epoch.empty()) {
        SQUENV_TRY_ASSIGN(options.newest_mtime, parse_time(epoch, "SOURCE_DATE_EPOCH"));
    }
    return {};
}

Status PackArguments::set_selection(pack::Options& options) const {
    options.exclude = exclude_;
    for (const std::string& file : exclude_from_) {
        SQUENV_TRY_ASSIGN(const auto patterns, pack::read_exclude_file(file));
        options.exclude.insert(options.exclude.end(), patterns.begin(), patterns.end());
    }
    options.stays_on_file_system = stays_on_file_system_;
    options.ignores_unreadable = ignores_unreadable_;
    options.is_strict = is_strict_;
    options.replaces_output = is_forced_;
    return {};
}

Status PackArguments::set_mount_point(pack::Options& options) const {
    if (mount_point_.empty()) {
        SQUENV_TRY_ASSIGN(const std::string path, tree());
        // The manifest is JSON. No path is better than another one.
        if (is_utf8(path)) options.manifest.mount_point = path;
        return {};
    }
    if (!mount_point_.starts_with('/') || !is_utf8(mount_point_))
        return fail(
            Errc::invalid_argument,
            fmt::format("--mount-point '{}' is not an absolute path in UTF-8", mount_point_));
    options.manifest.mount_point = mount_point_;
    return {};
}

Result<pack::Options> PackArguments::options() const {
    SQUENV_TRY(check_source());
    SQUENV_TRY(check_combinations());
    pack::Options options;
    SQUENV_TRY(set_encoding(options));
    SQUENV_TRY(set_attributes(options));
    SQUENV_TRY(set_selection(options));
    SQUENV_TRY(set_mount_point(options));
    SQUENV_TRY(pack::check(options));
    return options;
}

}  // namespace squenv::cli
