// SPDX-License-Identifier: MIT
#include <iostream>

#include "cli/clean_start.h"
#include "cli/command.h"

int main(int argc, char** argv) {
    squenv::cli::start_cleanly(argc, argv);
    squenv::cli::Io io{std::cout, std::cerr};
    return squenv::cli::run_program({argv, argv + argc}, io);
}
