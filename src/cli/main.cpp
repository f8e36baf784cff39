// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <iostream>

#include "base/process_limits.h"
#include "cli/clean_start.h"
#include "cli/command.h"
#include "cli/output_stream.h"

int main(int argc, char** argv) {
    squenv::cli::start_cleanly(argc, argv);
    squenv::outlive_file_size_limit();
    squenv::cli::OutputStream out(STDOUT_FILENO);
    squenv::cli::Io io{out, std::cerr};
    return squenv::cli::run_program({argv, argv + argc}, io);
}
