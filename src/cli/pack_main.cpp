// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <iostream>

#include "base/process_limits.h"
#include "base/unique_fd.h"
#include "cli/output_stream.h"
#include "cli/pack_program.h"

int main(int argc, char** argv) {
    squenv::guard_standard_fds();
    squenv::outlive_file_size_limit();
    squenv::cli::OutputStream out(STDOUT_FILENO);
    squenv::cli::Io io{out, std::cerr};
    return squenv::cli::run_pack_program({argv, argv + argc}, io);
}
