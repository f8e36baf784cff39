// SPDX-License-Identifier: MIT
// Runs programs over an image that is mounted for them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/temporary_name.h"
#include "cli/kill_guard.h"

namespace squenv::cli {

/// A file that is removed with its owner.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string path) : path_(std::move(path)), name_(path_) {}
    ~TemporaryFile();
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
    TemporaryName name_;
};

struct Program {
    std::vector<std::string> words;  ///< the first one is looked up in PATH
    /// The environment, of Python or conda, that is activated for it; "" is none.
    std::string environment{};
    bool is_silent = false;         ///< its standard output is discarded
    bool prints_as_errors = false;  ///< its standard output goes to the standard error
};

/// Runs to the end. Returns the exit status, 128+N for a signal. Errors: not_found and others of
/// starting.
[[nodiscard]] Result<int> run_to_end(const Program& program);

/// Runs and returns the program's output. Errors: as above; environment when it fails.
[[nodiscard]] Result<std::string> output_of(const Program& program);

/// The program `squenv`, which lies beside this one. Errors: not_found, denied.
[[nodiscard]] Result<std::string> squenv_program();

/// A mount made by `squenv mount`. It ends with this object, and with this process when that is
/// killed.
class Mounted {
  public:
    /// `options` as after -o, or "". When this process is killed, `files` are removed, too.
    /// Errors: environment (squenv has printed the reason by then), limit (no process).
    [[nodiscard]] static Result<Mounted> mount(const std::string& image,
                                               const std::string& mountpoint,
                                               const std::string& options,
                                               const std::vector<std::string>& files = {});
    Mounted(Mounted&& other) noexcept;
    Mounted& operator=(Mounted&&) = delete;
    ~Mounted();
    /// A process that still uses the mount keeps it until that process ends. Errors: busy.
    [[nodiscard]] Status unmount();
    /// The output of `squenv stats --json`.
    [[nodiscard]] Result<std::string> statistics() const;

  private:
    Mounted(std::string program, std::string mountpoint, KillGuard guard)
        : program_(std::move(program)),
          mountpoint_(std::move(mountpoint)),
          guard_(std::move(guard)) {}
    std::string program_;
    std::string mountpoint_;
    KillGuard guard_;
    bool is_mounted_ = true;
};

/// Creates or replaces the file. Errors: denied, limit (disk full), io.
[[nodiscard]] Status write_text_file(const std::string& path, const std::string& text);

}  // namespace squenv::cli
