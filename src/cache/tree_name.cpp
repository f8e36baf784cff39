// SPDX-License-Identifier: MIT
#include "cache/tree_name.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/sha256.h"
#include "image/byte_source.h"

namespace squenv::cache {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNoteSuffix = ".digest";
constexpr std::string_view kDigits = "0123456789abcdef";
/// The digits of a SHA-256.
constexpr std::size_t kDigestDigits = 64;
/// 64 bits tell the files of one digest apart.
constexpr std::size_t kBindingDigits = 16;
/// FAT has the coarsest times. Within a step a file can change and keep its times.
constexpr std::time_t kTimeStep = 2;

std::string hex(ByteView bytes) {
    std::string text;
    for (const std::byte byte : bytes)
        text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

bool is_hex(std::string_view text) {
    return text.find_first_not_of(kDigits) == std::string_view::npos;
}

/// The state of the file that `image` is read from, by its descriptor.
std::optional<struct stat> look_at(const image::Image& image) {
    const auto* file = dynamic_cast<const image::FileSource*>(&image.source());
    struct stat info {};
    if (file == nullptr || ::fstat(file->descriptor(), &info) != 0) return std::nullopt;
    return info;
}

/// A text that differs between any two files, and between two states of one.
std::string stamp_of(const struct stat& info, const image::Image& image) {
    return fmt::format("{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}-{:x}-{:x}", info.st_dev, info.st_ino,
                       info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                       info.st_ctim.tv_nsec, info.st_uid, image.offset());
}

/// Whether only this user and root can change it. A page that is mapped for writing can be changed
/// repeatedly without a new ctime, so times are no proof against another owner.
bool is_ours_alone(const struct stat& info) {
    return S_ISREG(info.st_mode) && (info.st_uid == ::geteuid() || info.st_uid == 0) &&
           (info.st_mode & 022) == 0;
}

Result<std::string> digest_of_source(const image::ByteSource& source) {
    constexpr std::uint64_t kPiece = 1 << 20;
    ByteVector piece(kPiece);
    const std::uint64_t size = source.size_bytes();
    std::uint64_t position = 0;
    Status status;
    const Sha256 digest = sha256_of([&]() -> ByteView {
        const auto next = static_cast<std::size_t>(std::min(kPiece, size - position));
        const MutableBytes bytes = MutableBytes(piece).first(next);
        if (next != 0) status = source.read_exact(position, bytes);
        if (next == 0 || !status) return {};
        position += next;
        return bytes;
    });
    if (!status) return tl::unexpected(status.error());
    return hex(digest);
}

void remember(const std::string& note, const std::string& digest) {
    const std::string fresh = fmt::format("{}.{}", note, ::getpid());
    std::ofstream(fresh) << digest << '\n';
    if (std::rename(fresh.c_str(), note.c_str()) != 0) ::unlink(fresh.c_str());
}

/// The remembered digest of the file that has the stamp of `name`.
Result<std::string> remembered_digest(const std::string& note, const TreeName& name,
                                      const struct stat& info, const std::string& image_path,
                                      const image::Image& image) {
    std::string digest;
    // The content of a block device changes without its node.
    const bool has_note = S_ISREG(info.st_mode) && std::ifstream(note) >> digest;
    if (has_note && digest.size() == kDigestDigits && is_hex(digest)) return digest;
    const std::time_t begin = std::time(nullptr);
    SQUENV_TRY_ASSIGN(digest, digest_of_source(image.source()));
    if (!is_unchanged(name, image))
        return fail(Errc::busy, image_path + ": changes while it is read",
                    "try again when it is complete");
    if (S_ISREG(info.st_mode) && info.st_ctim.tv_sec < begin - kTimeStep) remember(note, digest);
    return digest;
}

bool is_note(std::string_view name) {
    const auto suffix = name.find(kNoteSuffix);
    return suffix != std::string_view::npos && suffix != 0 &&
           name.substr(0, suffix).find_first_not_of("0123456789abcdef-.") == std::string_view::npos;
}

}  // namespace

Result<TreeName> name_tree(const std::string& directory, const std::string& image_path,
                           const image::Image& image) {
    TreeName name;
    const auto info = look_at(image);
    if (!info) {
        SQUENV_TRY_ASSIGN(name.text, digest_of_source(image.source()));
        return name;
    }
    name.stamp = stamp_of(*info, image);
    const std::string note = fmt::format("{}/{}{}", directory, name.stamp, kNoteSuffix);
    SQUENV_TRY_ASSIGN(name.text, remembered_digest(note, name, *info, image_path, image));
    if (!is_ours_alone(*info))
        name.text += '-' + hex(sha256_of(as_bytes(name.stamp))).substr(0, kBindingDigits);
    return name;
}

bool is_unchanged(const TreeName& name, const image::Image& image) {
    if (image.has_changed()) return false;
    const auto info = look_at(image);
    return info ? stamp_of(*info, image) == name.stamp : name.stamp.empty();
}

bool is_tree_name(std::string_view name) {
    if (name.size() < kDigestDigits || !is_hex(name.substr(0, kDigestDigits))) return false;
    const std::string_view binding = name.substr(kDigestDigits);
    return binding.empty() || (binding.size() == kBindingDigits + 1 && binding.front() == '-' &&
                               is_hex(binding.substr(1)));
}

void forget_digests(const std::string& directory) {
    std::error_code error;
    for (const auto& file : fs::directory_iterator(directory, error))
        if (is_note(file.path().filename().string())) ::unlink(file.path().c_str());
}

}  // namespace squenv::cache
