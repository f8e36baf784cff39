// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <vector>

namespace squenv::cli {

Option Option::type_name(const char* name) {
    option_->type_name(name);
    return *this;
}

Option Option::required() {
    option_->required();
    return *this;
}

Option Option::one_value_each() {
    option_->allow_extra_args(false);
    return *this;
}

Option Option::range(std::uint64_t least, std::uint64_t most) {
    option_->check(CLI::Range(least, most));
    return *this;
}

Option Option::positive() {
    // That of the library prints the largest double.
    option_->check(
        [](const std::string& text) {
            const bool is_number = text.find_first_not_of("0123456789") == std::string::npos;
            const bool is_positive = text.find_first_not_of('0') != std::string::npos;
            return is_number && is_positive ? "" : "'" + text + "' is not a number from 1 on";
        },
        "");
    return *this;
}

Option Option::each(const std::function<void(const std::string&)>& see) {
    option_->each(see);
    return *this;
}

Option Option::excludes(Option other) {
    option_->excludes(other.option_);
    return *this;
}

template <class Value>
Option Options::add(const char* names, Value& value, const char* help) {
    return Option(app_->add_option(names, value, help));
}
template Option Options::add(const char*, std::string&, const char*);
template Option Options::add(const char*, std::vector<std::string>&, const char*);
template Option Options::add(const char*, std::optional<std::string>&, const char*);
template Option Options::add(const char*, std::optional<std::uint64_t>&, const char*);
template Option Options::add(const char*, int&, const char*);
template Option Options::add(const char*, unsigned&, const char*);
template Option Options::add(const char*, std::uint64_t&, const char*);

Option Options::add_flag(const char* names, bool& value, const char* help) {
    return Option(app_->add_flag(names, value, help));
}

Option Options::add_flag(const char* names, std::string& value, const char* help) {
    return Option(app_->add_flag(names, value, help));
}

void Options::add_flag(const char* names, const std::function<void()>& seen, const char* help) {
    app_->add_flag_callback(names, seen, help);
}

void Options::set_help_flag(const char* names) {
    app_->set_help_flag(names, "Print this help message and exit");
}

void Options::footer(const char* text) {
    app_->footer(text);
}

Options Options::add_subcommand(const char* name, const char* summary) {
    return Options(*app_->add_subcommand(name, summary));
}

void Options::require_subcommand() {
    app_->require_subcommand(1);
}

Options Options::fallthrough() {
    app_->fallthrough();
    return *this;
}

bool Options::parsed() const {
    return app_->parsed();
}

}  // namespace squenv::cli
