// SPDX-License-Identifier: MIT
#include <iostream>

#include "base/unique_fd.h"
#include "cli/pack_program.h"

int main(int argc, char** argv) {
    squenv::guard_standard_fds();
    squenv::cli::Io io{std::cout, std::cerr};
    return squenv::cli::run_pack_program({argv, argv + argc}, io);
}
