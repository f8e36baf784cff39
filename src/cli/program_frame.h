// SPDX-License-Identifier: MIT
// What both programs do around their commands: common options, errors, exit statuses.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "cli/command.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace squenv::cli {

/// The exit status for a command line that is wrong.
inline constexpr int kUsage = 2;

/// Column of the explanations in a help text.
inline constexpr std::size_t kHelpColumn = 28;

/// The words that are neither options nor operands, as they were written. An option that there is
/// not makes a stray word of an operand: then the option alone. "" when `error` is about neither a
/// word that is unknown nor one that is missing; of both, the unknown one says more.
[[nodiscard]] std::string stray_words(const CLI::App& app, const CLI::ParseError& error);

/// --verbose and --quiet, then the options of `command`. An empty value of any option with a long
/// name becomes an error: an unset variable of a script must not mean that the option is not there.
/// `-o ""` of mount, which has no long name, stays an empty list.
void declare_options(CLI::App& app, Command& command, Io& io);

/// Prints the error, and returns the exit status: that of `command`, or the common one without it.
[[nodiscard]] int report(Io& io, const std::string& who, const Status& status,
                         const Command* command = nullptr);

/// Runs the command; an exception is an error like others. Returns the exit status.
[[nodiscard]] int run_command(Io& io, const std::string& who, Command& command);

/// A whole program. `body` returns an exit status; an exception is printed and makes it 1. So does
/// output that cannot be written, when `body` made it 0.
[[nodiscard]] int guarded(Io& io, const std::string& who, const std::function<int()>& body);

}  // namespace squenv::cli
