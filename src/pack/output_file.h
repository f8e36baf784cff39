// SPDX-License-Identifier: MIT
// The file of an image on its way to a name: where it is until then, and what it replaces.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "base/temporary_name.h"
#include "base/unique_fd.h"

namespace squenv::pack {

/// Gives the complete file `fresh` the name `path`, in place of a rename.
using Replace = std::function<Status(const std::string& fresh, const std::string& path)>;

/// A file without a name where the file system has such files, so that nothing of it outlives the
/// process, however that ends; else one with a temporary name beside its own, which it removes when
/// publish() did not succeed. Not thread-safe.
class OutputFile {
  public:
    /// Whether create() can be expected to succeed, for telling early. Errors: as create().
    [[nodiscard]] static Status check(const std::string& path, bool replaces);
    /// For the file that `path` leads to: a link is followed and not replaced. `replace` is for a
    /// file that `replaces`. Errors: exists (without `replaces`), denied, not_found,
    /// invalid_argument, io.
    [[nodiscard]] static Result<OutputFile> create(const std::string& path, bool replaces,
                                                   Replace replace = {});
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&&) = delete;
    ~OutputFile();

    [[nodiscard]] int fd() const { return file_.get(); }
    /// The name it will have.
    [[nodiscard]] const std::string& path() const { return path_; }
    /// By which this process can open it until then.
    [[nodiscard]] std::string temporary_path() const;
    /// Reports what the file system reports of a file no earlier than when it is closed. It stays
    /// open. Errors: limit (disk full), io.
    [[nodiscard]] Status settle();
    /// Gives it its name, and the access rights of the file that it replaces.
    /// Errors: exists, denied, limit, io.
    [[nodiscard]] Status publish();
    /// Once published: what it could not keep of those rights, as a line, or "".
    [[nodiscard]] const std::string& access_note() const { return access_note_; }

  private:
    OutputFile(std::string path, bool replaces);
    [[nodiscard]] bool open_unnamed();
    [[nodiscard]] Status open_named();
    void apply_umask() const;
    void take_access();
    [[nodiscard]] Status publish_unnamed();
    [[nodiscard]] Status publish_named();
    [[nodiscard]] int link_to(const std::string& name) const;
    [[nodiscard]] int link_under_temporary_name();
    [[nodiscard]] Status copy_to_named();
    [[nodiscard]] std::string new_temporary_name() const;
    void set_temporary_name(std::string name);
    void forget_temporary_name();

    std::string path_;
    bool replaces_ = false;
    bool is_private_ = false;  ///< made for its owner alone: it replaces a file, which may be so
    Replace replace_{};
    UniqueFd file_;
    std::string temporary_name_;  ///< "" without one
    TemporaryName guard_;         ///< of that
    std::string access_note_;
};

}  // namespace squenv::pack
