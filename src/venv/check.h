// SPDX-License-Identifier: MIT
// What will go wrong, or be slow, when an environment is packed.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/seen_directory.h"
#include "venv/check_conda.h"
#include "venv/environment.h"

namespace squenv::venv {

/// Collects the findings while another module walks the tree: editable installs and .pth files that
/// point outside, symlinks that leave the tree, scripts that name another path, an interpreter that
/// is not here, packages of the system, modules without a valid compiled form, unreadable files.
class Check final : public TreeObserver {
  public:
    /// Compiled forms in the directory `compiled`, "" for none, stand for those of the environment.
    /// A prefix of conda is going to be used at `mount_point`; "" is where it is.
    explicit Check(Environment environment, std::string compiled = {},
                   const std::string& mount_point = {});

    /// True for compiled forms.
    [[nodiscard]] bool wants_head(std::string_view path, std::string_view name) const override;
    /// Thread-safe. Opens scripts and .pth files.
    void visit(const SeenDirectory& directory) override;
    /// All findings by path and reason. After the last visit, once.
    [[nodiscard]] std::vector<Finding> finish();

  private:
    struct Module {
        std::string path;  ///< without ".py"
        std::uint64_t size_bytes = 0;
        std::int64_t mtime_seconds = 0;
        bool has_attributes = true;

        /// Whether Python takes a compiled form that begins with `head` for this module.
        [[nodiscard]] bool fits(const std::string& head) const;
    };

    [[nodiscard]] bool is_cache(std::string_view path) const;
    void visit_file(const SeenDirectory& directory, const SeenEntry& file);
    void check_link(const std::string& path, const SeenEntry& link);
    void check_path_file(const std::string& path);
    void check_direct_url(const std::string& path);
    void check_script(const std::string& path);
    void note_modules(const SeenDirectory& directory);
    void note_forms(const SeenDirectory& cache, std::string_view directory);
    void check_modules();
    void check_packages();
    void add_module_finding(const std::vector<std::string>& modules, const char* of_one,
                            const char* of_more);
    void add(Finding finding);

    const Environment environment_;
    const std::string compiled_;
    const std::string root_;
    const std::string place_;   ///< what paths in the environment begin with
    const std::string suffix_;  ///< ".cpython-311.pyc"; "" of an environment without such forms
    const bool is_root_user_;
    std::mutex mutex_;  ///< protects everything below
    std::vector<Finding> findings_;
    std::vector<Module> modules_;  ///< whose forms the walk meets in another directory
    std::unordered_map<std::string, std::string> forms_;  ///< heads by Module::path
    std::vector<std::string> uncompiled_;                 ///< Module::path
    std::vector<std::string> stale_;                      ///< Module::path
    std::vector<OutsideLink> outside_links_;              ///< of a prefix of conda
};

}  // namespace squenv::venv
