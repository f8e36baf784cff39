// SPDX-License-Identifier: MIT
// Called as squenv-server by the daemon of a mount, which is of another version or the same one.
#include <sys/stat.h>

#include <charconv>
#include <ostream>

#include "cli/command.h"
#include "cli/program_frame.h"
#include "daemon/program_server.h"

namespace squenv::cli {

int run_as_server(const std::vector<std::string>& arguments, Io& io) {
    int socket = -1;
    if (arguments.size() == 2)
        std::from_chars(arguments[1].data(), arguments[1].data() + arguments[1].size(), socket);
    struct stat info {};
    if (socket < 3 || ::fstat(socket, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        io.err << "squenv-server: is started by the daemon of a mount; see 'squenv help upgrade'\n";
        return kUsage;
    }
    daemon::run_program_server(UniqueFd(socket));
}

}  // namespace squenv::cli
