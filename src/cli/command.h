// SPDX-License-Identifier: MIT
// A command of the program: its arguments, and its action. The only module that prints.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace squenv::cli {

/// The streams of a command. Injected, so that commands are tested in-process.
struct Io {
    std::ostream& out;  ///< results
    std::ostream& err;  ///< everything else
    bool is_quiet = false;
    bool is_verbose = false;
};

/// One command. declare() is called once, then run() at most once.
class Command {
  public:
    virtual ~Command() = default;
    [[nodiscard]] virtual const char* name() const = 0;
    [[nodiscard]] virtual const char* summary() const = 0;
    /// Adds options and arguments, bound to members.
    virtual void declare(Options options) = 0;
    [[nodiscard]] virtual Status run(Io& io) = 0;
    /// The destination of the words of the command to run, which this program does not parse. They
    /// are those after "--", or from the second word on that is no option. nullptr takes none.
    [[nodiscard]] virtual std::vector<std::string>* remainder() { return nullptr; }
    /// The words begin after "--" only: operands may be several.
    [[nodiscard]] virtual bool remainder_needs_dashes() const { return false; }
    /// The end of the usage line, after the operands, or "".
    [[nodiscard]] virtual const char* usage_tail() const { return ""; }
    /// The advice for a word that is not understood, or "".
    [[nodiscard]] virtual const char* stray_word_hint() const { return ""; }
    /// The exit status for a failure of this program, not of the command that it was to run.
    [[nodiscard]] virtual int failure_status(Errc code) const { return exit_code(code); }
};

std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_cache_command();
std::unique_ptr<Command> make_cat_command();
std::unique_ptr<Command> make_create_command();
std::unique_ptr<Command> make_diff_command();
std::unique_ptr<Command> make_doctor_command();
std::unique_ptr<Command> make_edit_command();
std::unique_ptr<Command> make_env_command();
std::unique_ptr<Command> make_extract_command();
std::unique_ptr<Command> make_history_command();
std::unique_ptr<Command> make_info_command();
std::unique_ptr<Command> make_list_command();
std::unique_ptr<Command> make_ls_command();
std::unique_ptr<Command> make_mount_command();
/// `who` is the program in its messages.
std::unique_ptr<Command> make_pack_command(const char* who = "squenv pack");
std::unique_ptr<Command> make_prune_command();
std::unique_ptr<Command> make_rollback_command();
std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_shell_command();
std::unique_ptr<Command> make_stats_command();
std::unique_ptr<Command> make_trace_command();
std::unique_ptr<Command> make_umount_command();
std::unique_ptr<Command> make_upgrade_command();
std::unique_ptr<Command> make_verify_command();

/// The other names of this program.
[[nodiscard]] Status run_as_squashfuse(const std::vector<std::string>& arguments, Io& io);
/// The server of a mount, for its daemon. Returns only the exit status of a call that is none.
[[nodiscard]] int run_as_server(const std::vector<std::string>& arguments, Io& io);
/// Returns the exit status.
[[nodiscard]] int run_as_uenv(const std::vector<std::string>& arguments, Io& io);
/// Returns the exit status, one of mount(8)'s.
[[nodiscard]] int run_as_mount_helper(const std::vector<std::string>& arguments, Io& io);

/// The whole program. `arguments` begins with the name of the program. Returns the exit status.
[[nodiscard]] int run_program(const std::vector<std::string>& arguments, Io& io);

}  // namespace squenv::cli
