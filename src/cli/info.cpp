// SPDX-License-Identifier: MIT
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"
#include "cli/image_list.h"
#include "cli/manifest.h"
#include "cli/uenv_metadata.h"
#include "venv/environment.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

using MaybeManifest = std::optional<appendix::Manifest>;
using MaybeUenv = std::optional<view::Metadata>;

/// Whether the environment in the image sees packages of the system it runs on.
bool has_system_packages(const image::Image& image) {
    const auto file = image.resolve("pyvenv.cfg");
    if (!file || !file->is_file()) return false;
    const auto slices = image.data().read(*file, 0, venv::kMaxConfig);
    if (!slices) return false;
    std::string text;
    for (const auto& slice : *slices) text += as_text(slice.bytes);
    return venv::parse_config(text).has_system_packages;
}

Json to_json(const Creation& creation) {
    if (creation.command.empty()) return nullptr;
    Json json{{"command", creation.command}, {"tools", creation.tools}, {"inputs", Json::array()}};
    for (const CreationInput& input : creation.inputs)
        json["inputs"].push_back(
            {{"name", input.name}, {"text", input.text}, {"sha256", input.sha256}});
    return json;
}

/// "venv", "conda", or null.
Json environment(const image::Image& image, const MaybeManifest& manifest) {
    const auto kind = environment_in(image, manifest, "");
    return kind == venv::EnvironmentKind::none ? Json() : Json(venv::kind_text(kind));
}

Json to_json(const MaybeManifest& manifest, const image::Image& image) {
    if (!manifest) return nullptr;
    Json python = nullptr;
    if (!manifest->python_version.empty())
        python = {{"version", manifest->python_version},
                  {"home", manifest->python_home},
                  {"relocatable", manifest->is_relocatable},
                  {"system_site_packages", has_system_packages(image)}};
    return {{"mount_point", manifest->mount_point},
            {"tool_version", manifest->tool_version},
            {"options",
             {{"codec", manifest->codec},
              {"level", manifest->level},
              {"block_size", manifest->block_size}}},
            {"fits_overlay", manifest->fits_overlay ? Json(*manifest->fits_overlay) : Json()},
            {"python", python},
            {"created", to_json(manifest->creation)}};
}

Json to_json(const MaybeUenv& uenv) {
    if (!uenv) return nullptr;
    Json views = Json::array();
    for (const auto& [name, view] : uenv->views)
        views.push_back({{"name", name}, {"description", view.description}});
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? Json() : Json(text);
    };
    return {{"name", uenv->name},
            {"description", text_or_null(uenv->description)},
            {"mount", uenv->mount},
            {"default_view", text_or_null(uenv->default_view)},
            {"views", views}};
}

Json to_json(const image::Image& image, const std::string& path, const MaybeManifest& manifest,
             const MaybeUenv& uenv) {
    const auto& sb = image.superblock();
    return {{"image", path},
            {"offset", image.offset()},
            {"streamed", image.is_streamed()},
            {"bytes_used", sb.bytes_used},
            {"compressor", format::compressor_name(sb.compressor)},
            {"compressor_options", image.compressor_options()},
            {"block_size", sb.block_size},
            {"inodes", sb.inode_count},
            {"fragments", sb.fragment_count},
            {"owners", sb.id_count},
            {"created", sb.mkfs_time},
            {"export_table", sb.has_export_table()},
            {"xattrs", sb.has_xattrs()},
            {"environment", environment(image, manifest)},
            {"manifest", to_json(manifest, image)},
            {"uenv", to_json(uenv)}};
}

void print_text(std::ostream& out, const image::Image& image, const std::string& path) {
    const auto& sb = image.superblock();
    const auto& options = image.compressor_options();
    out << fmt::format("image        {}\n", printable(path));
    if (image.offset() != 0) out << fmt::format("offset       {}\n", image.offset());
    out << fmt::format("size         {} ({} bytes{})\n", format_size(sb.bytes_used), sb.bytes_used,
                       image.is_streamed() ? ", streamed" : "");
    out << fmt::format("created      {:%Y-%m-%dT%H:%M:%SZ}\n",
                       fmt::gmtime(static_cast<std::time_t>(sb.mkfs_time)));
    out << fmt::format("compressor   {}{}\n", format::compressor_name(sb.compressor),
                       options.empty() ? "" : ", " + options);
    out << fmt::format("block size   {}\n", format_size(sb.block_size));
    out << fmt::format("inodes       {}\n", sb.inode_count);
    out << fmt::format("fragments    {}\n", sb.fragment_count);
    out << fmt::format("owners       {}\n", sb.id_count);
    out << fmt::format("export       {}\n", sb.has_export_table() ? "yes" : "no");
    out << fmt::format("xattrs       {}\n", sb.has_xattrs() ? "yes" : "no");
}

void print_creation(std::ostream& out, const Creation& creation) {
    if (creation.command.empty()) return;
    out << fmt::format("created by   {}\n", printable(creation.command));
    for (const std::string& tool : creation.tools)
        out << fmt::format("             with {}\n", printable(tool));
    for (const CreationInput& input : creation.inputs)
        out << fmt::format("             from {}{}\n", printable(input.name),
                           input.sha256.empty() ? "" : ", sha256 " + printable(input.sha256));
}

void print_manifest(std::ostream& out, const appendix::Manifest& manifest) {
    out << fmt::format("mount point  {}\n", printable(manifest.mount_point));
    if (!manifest.python_version.empty()) {
        out << fmt::format("python       {}\n", printable(manifest.python_version));
        out << fmt::format("relocatable  {}\n", manifest.is_relocatable ? "yes" : "no");
    }
    out << fmt::format("packed by    squenv {}\n", printable(manifest.tool_version));
    out << fmt::format("options      {}, level {}, blocks of {}\n", printable(manifest.codec),
                       manifest.level, format_size(manifest.block_size));
    print_creation(out, manifest.creation);
}

void print_uenv(std::ostream& out, const view::Metadata& uenv) {
    const auto described = [](const std::string& name, const std::string& description) {
        return printable(name) + (description.empty() ? "" : ": " + printable(description));
    };
    out << fmt::format("uenv         {}\n", described(uenv.name, uenv.description));
    out << fmt::format("uenv path    {}\n", printable(uenv.mount));
    for (const auto& [name, view] : uenv.views)
        out << fmt::format("view         {}{}\n", described(name, view.description),
                           name == uenv.default_view ? " (default)" : "");
}

class InfoCommand final : public Command {
  public:
    const char* name() const override { return "info"; }
    const char* summary() const override { return "Show what an image is"; }
    void declare(Options options) override {
        image_.declare(options);
        options.add_flag("--json", is_json_, "Print a JSON object");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto image, image_.open());
        auto loaded = image->manifest();
        const MaybeManifest manifest = loaded ? std::move(*loaded) : std::nullopt;
        SQUENV_TRY_ASSIGN(const auto path, image_.file());
        auto read = read_uenv_metadata(path, *image);
        const MaybeUenv uenv = read ? std::move(*read) : std::nullopt;
        if (is_json_) {
            io.out << to_json(*image, image_.path(), manifest, uenv)
                          .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                   << '\n';
        } else {
            print_text(io.out, *image, image_.path());
            const auto kind = environment_in(*image, manifest, "");
            if (kind != venv::EnvironmentKind::none)
                io.out << fmt::format("environment  {}\n", venv::kind_text(kind));
            const bool has_python = manifest && !manifest->python_version.empty();
            if (kind == venv::EnvironmentKind::conda && !has_python) io.out << "relocatable  no\n";
            if (manifest) print_manifest(io.out, *manifest);
            if (uenv) print_uenv(io.out, *uenv);
            if (has_system_packages(*image))
                io.out << "packages     also those of the system, of the machine where it runs\n";
        }
        if (!loaded) return with_context(loaded.error(), image_.path());
        if (!read) return tl::unexpected(read.error());
        return {};
    }

  private:
    ImageArgument image_;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info_command() {
    return std::make_unique<InfoCommand>();
}

}  // namespace squenv::cli
