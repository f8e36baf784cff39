// SPDX-License-Identifier: MIT
#include "cli/image_list.h"

#include <algorithm>
#include <cerrno>

#include "base/paths.h"
#include "cli/given_path.h"
#include "cli/image_argument.h"
#include "cli/image_name.h"
#include "cli/manifest.h"
#include "cli/overlay_choice.h"
#include "cli/uenv_metadata.h"
#include "mount/mountpoint.h"
#include "run/destination.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

std::string without_backslashes(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        plain += text[i];
    }
    return plain;
}

std::vector<std::string> split_at_commas(const std::string& text) {
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ',') {
            parts.emplace_back();
            continue;
        }
        parts.back() += text[i];
        if (text[i] == '\\' && i + 1 < text.size()) parts.back() += text[++i];
    }
    return parts;
}

/// A name or path of the list; a backslash takes the meaning of "~", too.
Result<std::string> unescaped(const std::string& text) {
    if (text.starts_with('~')) return given_path(without_backslashes(text));
    return without_backslashes(text);
}

/// The last colon before a path, or npos.
std::size_t find_colon(const std::string& text) {
    for (std::size_t colon = text.rfind(':'); colon != std::string::npos && colon > 0;
         colon = text.rfind(':', colon - 1))
        if (text[colon - 1] != '\\' && colon + 1 != text.size()) return colon;
    return std::string::npos;
}

Result<ListedImage> split_at_colon(const std::string& text) {
    if (exists(without_backslashes(text))) return ListedImage{without_backslashes(text)};
    const std::size_t colon = find_colon(text);
    ListedImage listed;
    SQUENV_TRY_ASSIGN(listed.image, unescaped(text.substr(0, colon)));
    if (colon != std::string::npos) {
        SQUENV_TRY_ASSIGN(listed.path, unescaped(text.substr(colon + 1)));
    }
    return listed;
}

venv::HasPath paths_in(const image::Image& image, const std::string& subdirectory) {
    return [&image, subdirectory](const std::string& path) {
        return image.resolve(subdirectory + '/' + path).has_value();
    };
}

/// The characters that split a list are the likely reason why no file of that name exists.
Error explained(Error error, const ListedImage& listed, bool has_comma) {
    const bool is_said = error.sys_errno != ENOENT && !error.hint.empty();
    if (error.code != Errc::not_found || is_said) return error;
    if (has_comma)
        error.hint = "a comma that belongs to a name is written '\\,'";
    else if (!listed.path.empty())
        error.hint =
            "a colon that belongs to a name is written '\\:', and a label needs a repository of "
            "uenvs, named in UENV_REPO_PATH";
    return error;
}

/// Reads from `image` what it holds. Its manifest may be missing.
void recognise(const image::Image& image, const std::optional<appendix::Manifest>& manifest,
               ListedRequest& resolved) {
    const std::string& subdirectory = resolved.wanted.request.view.subdirectory;
    resolved.kind = environment_in(image, manifest, subdirectory);
    if (resolved.kind == venv::EnvironmentKind::none)
        resolved.inner_environment = venv::inner_environment(paths_in(image, subdirectory));
    // The programs of conda contain their path, whatever else is recorded.
    resolved.wanted.is_relocatable = resolved.kind == venv::EnvironmentKind::venv && manifest &&
                                     manifest->is_relocatable && !resolved.metadata;
}

/// Reads what the image says of itself as a uenv. Its views are about the whole of it.
void recognise_uenv(const ListedImage& listed, const image::Image& image, ListedRequest& resolved) {
    if (!resolved.wanted.request.view.subdirectory.empty()) return;
    auto metadata = read_uenv_metadata(listed.image, image);
    if (!metadata)
        resolved.metadata_error = metadata.error();
    else
        resolved.metadata = std::move(*metadata);
}

/// The path that the image records: that of its views, else that of the packer.
/// Errors: corrupt (it is not absolute).
Status find_recorded(const std::optional<appendix::Manifest>& manifest, ListedRequest& resolved) {
    if (resolved.metadata) {
        resolved.recorded = resolved.recorded_root = resolved.metadata->mount;
        return {};
    }
    if (!manifest) return {};
    resolved.recorded_root = manifest->mount_point;
    SQUENV_TRY_ASSIGN(resolved.recorded,
                      recorded_mountpoint(*manifest, resolved.wanted.request.view.subdirectory));
    return {};
}

}  // namespace

Result<ListedRequest> consult_image(const ListedImage& listed, const daemon::Request& base,
                                    bool has_comma) {
    ListedRequest resolved;
    resolved.image = listed.image;
    resolved.label_name = listed.label_name;
    auto& request = resolved.wanted.request;
    request = base;
    SQUENV_TRY_ASSIGN(request.image_path, versions::resolve(listed.image));
    if (const auto status = daemon::open_image(request); !status)
        return tl::unexpected(explained(status.error(), listed, has_comma));
    auto opened = image::Image::open(request.file, base.image);
    if (!opened) return tl::unexpected(explained(opened.error(), listed, has_comma));
    const image::Image& image = **opened;
    request.image_path = real_path(request.image_path);
    recognise_uenv(listed, image, resolved);
    auto loaded = image.manifest();
    if (!loaded && listed.path.empty() && !resolved.metadata)
        return with_context(loaded.error(), listed.image);
    const auto manifest = loaded ? std::move(*loaded) : std::nullopt;
    recognise(image, manifest, resolved);
    SQUENV_TRY(choose_overlay(manifest, request));
    SQUENV_TRY(find_recorded(manifest, resolved));
    resolved.is_given = !listed.path.empty();
    request.mountpoint = resolved.is_given ? listed.path : resolved.recorded;
    if (request.mountpoint.empty() && resolved.metadata_error)
        return tl::unexpected(*resolved.metadata_error);
    if (request.mountpoint.empty())
        return fail(Errc::invalid_argument, listed.image + ": records no path to be mounted on",
                    "name one: " + listed.image + ":PATH");
    resolved.is_bound =
        manifest && resolved.kind != venv::EnvironmentKind::none && !resolved.wanted.is_relocatable;
    return resolved;
}

Status check_path(const ListedRequest& listed, bool force) {
    const std::string& path = listed.wanted.request.mountpoint;
    if (!listed.is_given) {
        const auto status = run::check_recorded_destination(path, listed.recorded_root);
        if (!status) return with_context(status.error(), listed.image);
        return {};
    }
    const bool is_elsewhere =
        listed.is_bound && !listed.recorded.empty() && !is_same_place(path, listed.recorded);
    if (!is_elsewhere || force) return {};
    SQUENV_TRY(mount::check_place(path));  // no option helps there
    return fail(Errc::invalid_argument,
                listed.image + ": was packed at " + printable(listed.recorded) +
                    " and is not relocatable: its programs would not find it at " + printable(path),
                "leave the path out, or use --force");
}

venv::EnvironmentKind environment_in(const image::Image& image,
                                     const std::optional<appendix::Manifest>& manifest,
                                     const std::string& subdirectory) {
    const auto kind = venv::environment_kind(paths_in(image, subdirectory));
    const bool is_recorded = manifest && !manifest->python_version.empty();
    // One with its configuration left out is still what the packer saw.
    return kind == venv::EnvironmentKind::none && is_recorded ? venv::EnvironmentKind::venv : kind;
}

Result<std::vector<ListedImage>> parse_image_list(const std::string& text) {
    std::vector<ListedImage> list;
    if (exists(text)) return std::vector<ListedImage>{{text}};
    for (const auto& part : split_at_commas(text)) {
        SQUENV_TRY_ASSIGN(auto image, split_at_colon(part));
        if (image.image.empty())
            return fail(Errc::invalid_argument, "'" + text + "': an image without a name",
                        "write IMAGE[:PATH][,IMAGE[:PATH]...]");
        if (part.ends_with(':') && !part.ends_with("\\:") && !exists(image.image))
            return fail(Errc::invalid_argument, "'" + part + "': nothing follows the colon",
                        "name a path there, or leave the colon out");
        list.push_back(std::move(image));
    }
    return list;
}

Result<std::vector<ListedRequest>> resolve_images(const std::vector<ListedImage>& list,
                                                  const daemon::Request& base, bool force) {
    std::vector<ListedRequest> all;
    for (const auto& named : list) {
        SQUENV_TRY_ASSIGN(const auto listed, find_image(named));
        SQUENV_TRY_ASSIGN(auto resolved, consult_image(listed, base, list.size() > 1));
        SQUENV_TRY(check_path(resolved, force));
        const auto& path = resolved.wanted.request.mountpoint;
        const bool is_taken = std::any_of(all.begin(), all.end(), [&](const auto& other) {
            return is_same_place(path, other.wanted.request.mountpoint);
        });
        if (is_taken)
            return fail(Errc::invalid_argument, path + ": named for two images",
                        "give one of them another path");
        all.push_back(std::move(resolved));
    }
    return all;
}

}  // namespace squenv::cli
