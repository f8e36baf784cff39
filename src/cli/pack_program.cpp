// SPDX-License-Identifier: MIT
#include "cli/pack_program.h"

#include <CLI/CLI.hpp>

#include <exception>
#include <ostream>

#include "cli/option_values.h"
#include "config.h"

namespace squenv::cli {

namespace {
constexpr int kUsage = 2;
constexpr std::size_t kHelpColumn = 28;
constexpr const char* kName = "squenv-pack";
}  // namespace

int run_pack_program(const std::vector<std::string>& arguments, Io& io) {
    CLI::App app{"Packs a tree into a squashfs image.", kName};
    app.set_version_flag("--version", "squenv-pack " SQUENV_VERSION);
    app.get_formatter()->column_width(kHelpColumn);
    app.add_flag("-v,--verbose", io.is_verbose, "Say more on stderr");
    app.add_flag("-q,--quiet", io.is_quiet, "Say errors only");
    const auto command = make_pack_command(kName);
    command->declare(app);
    refuse_empty_values(app);
    try {
        std::vector<std::string> reversed;
        if (!arguments.empty()) reversed.assign(arguments.rbegin(), arguments.rend() - 1);
        app.parse(std::move(reversed));
        const Status status = command->run(io);
        io.out.flush();
        if (status && io.out) return 0;
        io.err << kName << ": "
               << (status ? std::string("cannot write the output") : status.error().message())
               << '\n';
        return status ? 1 : exit_code(status.error().code);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
        io.err << kName << ": " << error.what() << "; see '" << kName << " --help'\n";
        return kUsage;
    } catch (const std::exception& exception) {
        io.err << kName << ": " << exception.what() << '\n';
        return 1;
    }
}

}  // namespace squenv::cli
