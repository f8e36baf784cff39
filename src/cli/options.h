// SPDX-License-Identifier: MIT
// What a command line may have. The library CLI11 reads it; its header takes seconds to compile,
// so that only the files which parse a line include it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace squenv::cli {

/// An option or an operand, to be described further.
class Option {
  public:
    explicit Option(CLI::Option* option) : option_(option) {}

    /// The name of its value in the help text.
    Option type_name(const char* name);
    Option required();
    /// Each use has one value, and the option may be repeated.
    Option one_value_each();
    /// Both bounds are allowed.
    Option range(std::uint64_t least, std::uint64_t most);
    /// A number above 0.
    Option positive();
    /// `see` is called with each value as it was written.
    Option each(const std::function<void(const std::string&)>& see);
    /// Not together with `other`.
    Option excludes(Option other);

  private:
    CLI::Option* option_;
};

/// The options, operands and subcommands of one command. A cheap handle.
class Options {
  public:
    Options() = default;  ///< to be assigned before it is used
    explicit Options(CLI::App& app) : app_(&app) {}

    /// A name without dashes is an operand. `value` is set when the line is parsed. It may be
    /// text, a number, an optional of these, or a vector of texts.
    template <class Value>
    Option add(const char* names, Value& value, const char* help);
    Option add_flag(const char* names, bool& value, const char* help);
    /// A flag that may have a value: "true" without one.
    Option add_flag(const char* names, std::string& value, const char* help);
    void add_flag(const char* names, const std::function<void()>& seen, const char* help);
    /// The only names of the help flag.
    void set_help_flag(const char* names);
    /// The end of the help text.
    void footer(const char* text);

    Options add_subcommand(const char* name, const char* summary);
    /// One subcommand has to be chosen.
    void require_subcommand();
    /// Options of the command above may follow the name of this one.
    Options fallthrough();
    /// Whether the line has this command.
    [[nodiscard]] bool parsed() const;

  private:
    CLI::App* app_ = nullptr;
};

}  // namespace squenv::cli
