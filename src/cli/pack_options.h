// SPDX-License-Identifier: MIT
// The command line of the packer, turned into its options.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "squenv/pack.h"

namespace squenv::cli {

/// The options as they are typed. declare(), then, once parsed, options().
class PackArguments {
  public:
    /// The arguments for a tree that is used elsewhere than where it lies.
    struct OfTree {
        std::string directory{};
        std::string output{};
        std::string mount_point{};
        std::string warm{};  ///< a command or ""
        bool is_forced = false;
        bool keeps = false;
    };
    [[nodiscard]] static PackArguments of_tree(const OfTree& tree);
    void declare(Options options);
    /// Errors: invalid_argument, and those of pattern files that cannot be read.
    [[nodiscard]] Result<pack::Options> options() const;
    /// Where the image goes. Errors: invalid_argument, when nothing says so.
    [[nodiscard]] Result<std::string> output() const;
    /// The absolute path of the tree, without links in the directories above it; empty for input
    /// that is no directory. Errors: not_found, denied.
    [[nodiscard]] Result<std::string> tree() const;

    /// Exactly one of these says what is packed. Checked by options().
    [[nodiscard]] const std::string& directory() const { return directory_; }
    [[nodiscard]] const std::string& archive() const { return archive_; }
    [[nodiscard]] const std::string& image() const { return image_; }
    [[nodiscard]] bool has_mount_point() const { return !mount_point_.empty(); }
    /// Whether what the image replaces is to be kept as a version.
    [[nodiscard]] bool keeps() const { return keeps_; }
    [[nodiscard]] bool verifies() const { return verifies_; }
    [[nodiscard]] bool is_json() const { return is_json_; }
    /// Traces of what is needed early.
    [[nodiscard]] const std::vector<std::string>& hot() const { return hot_; }
    /// A command to record, or empty.
    [[nodiscard]] const std::string& warm() const { return warm_; }
    [[nodiscard]] bool compiles() const { return !compile_.empty(); }
    /// The levels of optimization to compile for, from 0 to 2, each once and in order.
    /// Errors: invalid_argument. Checked by options().
    [[nodiscard]] Result<std::vector<int>> compile_levels() const;

  private:
    void declare_image(Options options);
    void declare_selection(Options options);
    [[nodiscard]] Status check_source() const;
    [[nodiscard]] Status check_combinations() const;
    [[nodiscard]] Status set_encoding(pack::Options& options) const;
    [[nodiscard]] Status set_attributes(pack::Options& options) const;
    [[nodiscard]] Status set_selection(pack::Options& options) const;
    [[nodiscard]] Status set_mount_point(pack::Options& options) const;

    std::string directory_;
    std::string archive_;
    std::string image_;
    std::string output_;
    std::string codec_ = "zstd";
    std::string level_;
    std::string block_size_ = "256K";
    std::string owner_ = "keep";
    std::string mtime_;
    std::string memory_;
    std::string mount_point_;
    std::vector<std::string> hot_;
    std::string warm_;
    std::string compile_;  ///< empty without it, "true" when no levels are named
    std::vector<std::string> exclude_;
    std::vector<std::string> exclude_from_;
    unsigned jobs_ = 0;
    unsigned readers_ = 0;
    bool has_no_fragments_ = false;
    bool has_no_duplicates_ = false;
    bool has_no_appendix_ = false;
    bool stays_on_file_system_ = false;
    bool ignores_unreadable_ = false;
    bool is_strict_ = false;
    bool is_forced_ = false;
    bool keeps_ = false;
    bool verifies_ = false;
    bool is_json_ = false;
};

}  // namespace squenv::cli
