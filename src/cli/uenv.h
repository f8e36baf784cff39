// SPDX-License-Identifier: MIT
// The program under the name uenv: the parts of that command which need no registry. Private to
// the files uenv*.cpp.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "cli/image_list.h"
#include "cli/program_frame.h"
#include "label/settings.h"

namespace squenv::cli {

/// The options before the command.
struct UenvOptions {
    std::string repository{};
    std::string system{};
    bool has_colour = false;

    [[nodiscard]] label::Sources sources() const;
    /// `text` in a colour of terminals, where these are wanted.
    [[nodiscard]] std::string yellow(const std::string& text) const;
    [[nodiscard]] std::string cyan(const std::string& text) const;
};

/// The list of images as uenv reads it: separated by commas, of which one may end it; what follows
/// a colon is a path when it begins with "/" or "." and a tag otherwise. Labels are looked up.
/// Errors: invalid_argument; those of find_label().
[[nodiscard]] Result<std::vector<ListedImage>> parse_uenv_images(const std::string& text,
                                                                 const UenvOptions& options);

/// A template of `--format` with its fields as "{name}" or "{name:>20}".
/// Errors: invalid_argument (no such field, no such template).
[[nodiscard]] Result<std::string> fill_template(
    const std::string& text, const std::vector<std::pair<std::string, std::string>>& fields);

/// One command of it. `declare` adds the command to `app`; `run` is called for the one that is
/// chosen and returns the exit status.
class UenvCommand {
  public:
    virtual ~UenvCommand() = default;
    /// Its options, in the subcommand made for it.
    virtual Options declare(Options options) = 0;
    [[nodiscard]] virtual Status run(const UenvOptions& options, Io& io) = 0;
    /// The exit status of a failure: that of uenv.
    [[nodiscard]] virtual int failure_status(Errc code) const {
        return code == Errc::invalid_argument ? kUsage : 1;
    }
};

std::unique_ptr<UenvCommand> make_uenv_start();
std::unique_ptr<UenvCommand> make_uenv_run();
std::unique_ptr<UenvCommand> make_uenv_status();
std::unique_ptr<UenvCommand> make_uenv_image_ls();
std::unique_ptr<UenvCommand> make_uenv_image_inspect();

}  // namespace squenv::cli
