// SPDX-License-Identifier: MIT
#include "cli/program_frame.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <exception>
#include <iostream>
#include <new>
#include <ostream>
#include <system_error>

#include "base/log.h"
#include "base/process_limits.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/output_stream.h"

namespace squenv::cli {

namespace {

void refuse_empty_values(CLI::App& app) {
    const CLI::Validator not_empty(
        [](std::string& value) { return value.empty() ? std::string("is empty") : std::string(); },
        "");
    for (CLI::Option* option : app.get_options())
        if (!option->get_lnames().empty() && option->get_items_expected_max() > 0)
            option->check(not_empty);
}

/// With what mends a limit of the process, which any part of a message may be about.
std::string message_of(const Error& error) {
    std::string text = error.message();
    const auto says = [&](const std::string& words) {
        return text.find(words) != std::string::npos;
    };
    if (says(std::generic_category().message(EMFILE))) text += "; 'ulimit -n' raises that limit";
    if (says(std::generic_category().message(ENOMEM)) || says(kNotEnoughMemory)) {
        const std::string limit = address_space_limit();
        if (error.hint.empty()) text += "; it takes a higher limit";
        text += limit.empty() ? "; 'ulimit -v' shows the limit of this process, a job may have "
                                "another one"
                              : "; " + limit;
    }
    return text;
}

/// The exit status of a program that would end with `status`, once its output is written. Tells of
/// output that cannot be written. A reader that went away needs no message.
int end_output(Io& io, const std::string& who, int status) {
    io.out.flush();
    if (io.out) return status;
    const auto* output = dynamic_cast<const OutputStream*>(&io.out);
    const int reason = output != nullptr ? output->failure() : 0;
    if (reason != EPIPE)
        io.err << who << ": cannot write the output"
               << (reason != 0 ? ": " + std::generic_category().message(reason) : std::string())
               << "; write it elsewhere\n";
    return status != 0 ? status : 1;
}

/// What was thrown through a command.
Error error_of(const std::exception& exception) {
    if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr)
        return {Errc::limit, ENOMEM, {}, {}};
    return {Errc::internal, 0, exception.what(), {}};
}

}  // namespace

std::string stray_words(const CLI::App& app, const CLI::ParseError& error) {
    if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr &&
        dynamic_cast<const CLI::RequiredError*>(&error) == nullptr)
        return {};
    std::string words;
    for (const std::string& word : app.remaining(true)) {
        if (word == "--") continue;
        if (word.size() > 1 && word.front() == '-') return word;
        words += (words.empty() ? "" : " ") + word;
    }
    return words;
}

void declare_options(CLI::App& app, Command& command, Io& io) {
    app.get_formatter()->column_width(kHelpColumn);
    app.add_flag("-v,--verbose", io.is_verbose, "Say more on stderr");
    app.add_flag("-q,--quiet", io.is_quiet, "Say errors only");
    command.declare(Options(app));
    refuse_empty_values(app);
}

int report(Io& io, const std::string& who, const Status& status, const Command* command) {
    if (status) return 0;
    if (const std::string message = message_of(status.error()); !message.empty())
        io.err << who << ": " << printable_lines(message) << '\n';
    return command != nullptr ? command->failure_status(status.error().code)
                              : exit_code(status.error().code);
}

int run_command(Io& io, const std::string& who, Command& command) {
    try {
        // What libraries note on the way; a daemon has a log of its own.
        if (io.is_verbose && !io.is_quiet && &io.err == &std::cerr)
            (void)log::start("stderr", log::Level::debug);
        return report(io, who, command.run(io), &command);
    } catch (const std::exception& exception) {
        return report(io, who, tl::unexpected(error_of(exception)), &command);
    }
}

int guarded(Io& io, const std::string& who, const std::function<int()>& body) {
    int status = 0;
    try {
        status = body();
    } catch (const std::exception& exception) {
        status = report(io, who, tl::unexpected(error_of(exception)));
    }
    return end_output(io, who, status);
}

}  // namespace squenv::cli
