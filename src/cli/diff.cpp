// SPDX-License-Identifier: MIT
#include <ostream>

#include "base/memory.h"
#include "cli/command.h"
#include "cli/diff_report.h"
#include "cli/image_name.h"
#include "diff/image_tree.h"
#include "image/image.h"
#include "venv/environment.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

/// What is compared first is read from the tables; what follows decodes most of an image.
constexpr std::size_t kCacheBytes = 128U << 20;

/// The exit statuses of diff(1).
constexpr int kDifferent = 1;
constexpr int kTrouble = 2;

Result<std::unique_ptr<image::Image>> open_named(const std::string& name) {
    SQUENV_TRY_ASSIGN(const std::string file, image_file(name));
    SQUENV_TRY_ASSIGN(const std::string path, versions::resolve(file));
    image::OpenOptions options;
    options.cache_bytes = kCacheBytes;
    return image::Image::open(path, options);
}

/// What an image has besides files.
struct Contents {
    std::vector<venv::Package> packages{};
    std::string python_version{};
};

Result<Contents> read_contents(const image::Image& image) {
    const diff::ImageTree tree(image);
    Contents contents;
    SQUENV_TRY_ASSIGN(contents.packages, venv::installed_packages(tree));
    SQUENV_TRY_ASSIGN(const std::string config, tree.read("pyvenv.cfg", venv::kMaxConfig));
    contents.python_version = venv::parse_config(config).python_version;
    return contents;
}

class DiffCommand final : public Command {
  public:
    const char* name() const override { return "diff"; }
    const char* summary() const override { return "Show how two images differ"; }
    void declare(Options options) override {
        options.add("OLD", before_, "An image").required();
        options.add("NEW", after_, "Another one").required();
        options.add_flag("-a,--all", is_complete_, "Every file, also compiled ones");
        options.add_flag("--packages", is_short_, "Packages only");
        options.add_flag("--json", is_json_, "Print a JSON object");
        options.footer("Exit status: 0 the same, 1 different, 2 trouble.");
    }
    int failure_status(Errc /*code*/) const override {
        return is_different_ ? kDifferent : kTrouble;
    }
    Status run(Io& io) override;

  private:
    [[nodiscard]] Result<ImageDiff> compare() const;

    std::string before_;
    std::string after_;
    bool is_complete_ = false;
    bool is_short_ = false;
    bool is_json_ = false;
    bool is_different_ = false;  ///< known, and printed
};

Result<ImageDiff> DiffCommand::compare() const {
    SQUENV_TRY_ASSIGN(const auto before, open_named(before_));
    SQUENV_TRY_ASSIGN(const auto after, open_named(after_));
    const auto old_contents = read_contents(*before);
    if (!old_contents) return with_context(old_contents.error(), before_);
    const auto new_contents = read_contents(*after);
    if (!new_contents) return with_context(new_contents.error(), after_);
    ImageDiff diff{before_, after_, old_contents->python_version, new_contents->python_version};
    diff.packages = venv::compare_packages(old_contents->packages, new_contents->packages);
    diff.has_files = !is_short_;
    if (is_short_) return diff;
    SQUENV_TRY_ASSIGN(diff.files, diff::compare_files(*before, *after));
    return diff;
}

Status DiffCommand::run(Io& io) {
    SQUENV_TRY_ASSIGN(const ImageDiff diff,
                      with_memory_errors(after_, [this] { return compare(); }));
    if (is_json_)
        io.out << diff_as_json(diff) << '\n';
    else
        print_diff(io.out, diff, is_complete_);
    io.out.flush();
    // The end of the program says so.
    if (!io.out) return fail(Errc::io, "");
    if (diff.is_empty()) return {};
    is_different_ = true;
    // Without a message: this is an answer.
    return fail(Errc::exists, "");
}

}  // namespace

std::unique_ptr<Command> make_diff_command() {
    return std::make_unique<DiffCommand>();
}

}  // namespace squenv::cli
