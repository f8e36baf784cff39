// SPDX-License-Identifier: MIT
// The steps from the arguments of the packer to an image: looking around, compiling, checking,
// packing, and packing again in the order that a command wants.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/kept_output.h"
#include "cli/pack_options.h"
#include "cli/pack_report.h"
#include "image/image.h"
#include "pack/pack.h"
#include "venv/compiled_forms.h"

namespace squenv::cli {

/// What is known of a tree that was made for another path than the one it lies at.
struct MadeTree {
    std::string at{};  ///< that path
    Creation creation{};
};

class PackSteps {
  public:
    /// `who` is the program in messages.
    PackSteps(const char* who, PackArguments arguments, std::optional<MadeTree> made = {})
        : who_(who), arguments_(std::move(arguments)), made_(std::move(made)) {}

    /// All of them, once; says on io.err what the user should know.
    /// Errors: those of the options, of the tree, of packing and of the command.
    [[nodiscard]] Result<pack::Report> run(Io& io);
    /// What is known of the tree after that.
    [[nodiscard]] const Surroundings& around() const { return around_; }

  private:
    Result<pack::Report> run_steps(Io& io);
    void warn(Io& io, const std::vector<std::string>& lines) const;
    Status look_around(Io& io, const std::string& output, pack::Options& options);
    Status compile(Io& io);
    Status check(Io& io, const std::string& output, const pack::Options& options);
    /// What the arguments name; completes the options by what an image has recorded.
    Result<std::unique_ptr<pack::Source>> open_source(const std::string& output,
                                                      pack::Options& options);
    Status inherit_manifest(const image::Image& image, pack::Options& options) const;
    Result<pack::Report> pack(Io& io, const std::string& output, const pack::Options& options);
    Result<pack::Report> pack_warm(Io& io, const std::string& output, pack::Options options);
    Result<pack::Report> pack_again(Io& io, const std::string& first, const std::string& output,
                                    const pack::Options& options);
    template <class Pack>
    Result<pack::Report> watch(Io& io, const pack::Options& options, Pack&& pack);
    [[nodiscard]] pack::Verify verify() const;

    const char* const who_;
    const PackArguments arguments_;
    const std::optional<MadeTree> made_;
    KeptOutput kept_;
    Surroundings around_;
    std::optional<venv::CompiledForms> compiled_;  ///< removed when the image is complete
    /// The environment, once the walk that checks it has scanned it, or why that failed.
    std::optional<Result<std::unique_ptr<pack::Source>>> scanned_;
    double scan_seconds_ = 0;
};

}  // namespace squenv::cli
