// SPDX-License-Identifier: MIT
#include "cli/uenv_metadata.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <span>

#include "base/file_io.h"
#include "base/unique_fd.h"

namespace squenv::cli {

namespace {

constexpr const char* kMetadata = "meta/env.json";

using MaybeText = std::optional<std::string>;

tl::unexpected<Error> too_long(const std::string& path) {
    return fail(Errc::corrupt, path + ": longer than 1 MiB");
}

/// The file beside the image; nothing when it is missing or no ordinary file.
Result<MaybeText> text_beside(const std::string& path) {
    auto file = open_file(path, O_RDONLY | O_NONBLOCK);
    if (!file && (file.error().code == Errc::not_found || file.error().sys_errno == ENOTDIR))
        return MaybeText();
    if (!file) return tl::unexpected(file.error());
    struct stat info {};
    if (!stat_open_file(file->get(), info)) return fail_errno(errno, path);
    if (!S_ISREG(info.st_mode)) return MaybeText();
    if (info.st_size > static_cast<off_t>(view::kMaxMetadata)) return too_long(path);
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    if (const auto status = read_at(file->get(), std::as_writable_bytes(std::span(text)), 0);
        !status)
        return with_context(status.error(), path);
    return MaybeText(std::move(text));
}

Result<MaybeText> text_in_image(const image::Image& image, const std::string& path) {
    const auto file = image.resolve(kMetadata);
    if (!file && file.error().code == Errc::not_found) return MaybeText();
    if (!file) return tl::unexpected(file.error());
    if (!file->is_file()) return MaybeText();
    if (file->size_bytes > view::kMaxMetadata) return too_long(path);
    SQUENV_TRY_ASSIGN(const auto slices, image.data().read(*file, 0, view::kMaxMetadata));
    std::string text;
    for (const auto& slice : slices) text += as_text(slice.bytes);
    return MaybeText(std::move(text));
}

}  // namespace

Result<std::optional<view::Metadata>> read_uenv_metadata(const std::string& image_path,
                                                         const image::Image& image) {
    const std::string beside =
        (std::filesystem::path(image_path).parent_path() / kMetadata).string();
    SQUENV_TRY_ASSIGN(auto text, text_beside(beside));
    const std::string where = text ? beside : image_path + ": " + kMetadata;
    if (!text) {
        SQUENV_TRY_ASSIGN(text, text_in_image(image, where));
    }
    if (!text) return std::optional<view::Metadata>();
    auto metadata = view::parse_metadata(*text);
    if (!metadata) return with_context(metadata.error(), where);
    return std::optional(std::move(*metadata));
}

}  // namespace squenv::cli
