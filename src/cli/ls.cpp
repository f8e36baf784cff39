// SPDX-License-Identifier: MIT
#include <fmt/chrono.h>
#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/units.h"
#include "cli/command.h"
#include "cli/image_argument.h"
#include "image/walk.h"

namespace squenv::cli {

namespace {

using Json = nlohmann::ordered_json;

class LsCommand final : public Command {
  public:
    const char* name() const override { return "ls"; }
    const char* summary() const override { return "List files inside an image"; }
    void declare(Options options) override {
        image_.declare(options);
        options.add("PATH", path_, "Inside the image; default: its root");
        options.add_flag("-l,--long", is_long_, "Mode, owner, size and time as well");
        // As in ls(1), where -h is about sizes.
        options.set_help_flag("--help");
        options.add_flag("-h,--human-readable", is_human_, "With -l, sizes as 1.5 MiB");
        options.add_flag("-a,--all", has_dots_, "The entries . and .. as well");
        options.add_flag("-d,--directory", is_itself_, "A directory itself, not what is in it");
        options.add_flag("-R,--recursive", is_recursive_, "What is below as well");
        options.add_flag("--json", is_json_, "Print one JSON object a line");
    }
    Status run(Io& io) override {
        SQUENV_TRY_ASSIGN(const auto image, image_.open());
        SQUENV_TRY_ASSIGN(const auto start, image->resolve(path_));
        if (!start.is_directory() || is_itself_) {
            print(io, *image, path_.empty() ? "." : path_, start);
            return {};
        }
        if (has_dots_) {
            SQUENV_TRY_ASSIGN(const auto above, image->resolve(parent_path()));
            print(io, *image, ".", start);
            print(io, *image, "..", above);
        }
        if (is_recursive_) return list_tree(io, *image, start);
        return list_directory(io, *image, start);
    }

  private:
    /// The path of the parent of the listed directory; the root is its own parent.
    [[nodiscard]] std::string parent_path() const {
        auto path = std::filesystem::path('/' + path_).lexically_normal();
        if (!path.has_filename()) path = path.parent_path();
        return path.parent_path().string();
    }
    [[nodiscard]] std::string size_text(const image::Inode& inode) const {
        const std::uint64_t size_bytes = inode.is_directory() ? 0 : inode.size_bytes;
        return is_human_ ? format_size(size_bytes) : fmt::format("{}", size_bytes);
    }

    Status list_directory(Io& io, const image::Image& image, const image::Inode& directory) {
        Status first_error;
        const auto listed = image.directories().visit(
            directory, 0, [&](std::uint64_t /*index*/, const image::DirectoryItem& item) {
                const auto inode = image.inode(item.inode);
                if (inode)
                    print(io, image, std::string(item.name), *inode);
                else if (first_error)
                    first_error = with_context(inode.error(), printable(std::string(item.name)));
                return true;
            });
        SQUENV_TRY(listed);
        return first_error;
    }

    Status list_tree(Io& io, const image::Image& image, const image::Inode& start) {
        Status first_error;
        image::WalkVisitor visitor;
        visitor.enter = [&](const std::string& path, const image::Inode& inode) {
            if (!path.empty()) print(io, image, path, inode);
            return true;
        };
        visitor.failed = [&](const std::string& path, const Error& error) {
            if (first_error) first_error = with_context(error, printable(path));
            return true;
        };
        image::walk(image, start, visitor);
        return first_error;
    }

    void print(Io& io, const image::Image& image, const std::string& name,
               const image::Inode& inode) const {
        const auto target = inode.is_symlink() ? image.read_link(inode) : Result<std::string>("");
        const std::string shown_target = target ? *target : "?";
        if (is_json_) {
            Json json{{"path", name},
                      {"type", type_text(inode.type)},
                      {"mode", fmt::format("{:04o}", inode.mode)},
                      {"uid", inode.uid},
                      {"gid", inode.gid},
                      {"size", inode.is_directory() ? 0 : inode.size_bytes},
                      {"mtime", inode.mtime},
                      {"nlink", inode.nlink},
                      {"inode", inode.number}};
            if (inode.is_symlink()) json["target"] = shown_target;
            io.out << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
        } else if (is_long_) {
            io.out << fmt::format(
                "{} {:>3} {:>5} {:>5} {:>11} {:%Y-%m-%d %H:%M} {}{}\n", mode_text(inode),
                inode.nlink, inode.uid, inode.gid, size_text(inode),
                fmt::gmtime(static_cast<std::time_t>(inode.mtime)), printable(name),
                inode.is_symlink() ? " -> " + printable(shown_target) : "");
        } else {
            io.out << printable(name) << '\n';
        }
    }

    ImageArgument image_;
    std::string path_;
    bool is_long_ = false;
    bool is_human_ = false;
    bool has_dots_ = false;
    bool is_itself_ = false;  ///< a directory is not entered
    bool is_recursive_ = false;
    bool is_json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_ls_command() {
    return std::make_unique<LsCommand>();
}

}  // namespace squenv::cli
