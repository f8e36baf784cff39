// SPDX-License-Identifier: MIT
#include "cli/pack_program.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/text.h"
#include "cli/program_frame.h"
#include "config.h"

namespace squenv::cli {

namespace {

constexpr const char* kName = "squenv-pack";

int run(const std::vector<std::string>& arguments, Io& io) {
    CLI::App app{"Packs a tree into a squashfs image.", kName};
    app.set_version_flag("--version", "squenv-pack " SQUENV_VERSION "\n" SQUENV_FEATURES);
    const auto command = make_pack_command(kName);
    declare_options(app, *command, io);
    try {
        std::vector<std::string> reversed;
        if (!arguments.empty()) reversed.assign(arguments.rbegin(), arguments.rend() - 1);
        app.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
        io.err << kName << ": " << printable(error.what()) << "; see '" << kName << " --help'\n";
        return kUsage;
    }
    return run_command(io, kName, *command);
}

}  // namespace

int run_pack_program(const std::vector<std::string>& arguments, Io& io) {
    return guarded(io, kName, [&] { return run(arguments, io); });
}

}  // namespace squenv::cli
