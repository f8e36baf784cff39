// SPDX-License-Identifier: MIT
// Called as squashfuse or squashfuse_ll. It has the options of those programs, so that scripts and
// container runtimes can use it unchanged.
#include <ostream>

#include "base/inherited_fds.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/mount_options.h"
#include "config.h"
#include "daemon/serve.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

constexpr const char* kSquashfuseHelp =
    "usage: squashfuse [options] ARCHIVE MOUNTPOINT\n"
    "\n"
    "    -h  --help             print this help\n"
    "    -V  --version          print the version\n"
    "    -f                     foreground operation\n"
    "    -d  -o debug           print every request (implies -f)\n"
    "    -s                     single-threaded\n"
    "    -o offset=N|auto       bytes in front of the image, or look for it\n"
    "    -o subdir=PATH         mount a directory of the image\n"
    "    -o timeout=N           unmount when idle for N seconds\n"
    "    -o uid=N,gid=N         show everything as owned by N\n"
    "    -o notify_pipe=PATH    write 's' or 'f' there when mounted or failed\n"
    "    -o allow_other         allow access by other users\n"
    "    -o umask=M             show everything with the permissions 0777 & ~M\n"
    "    -o max_threads=N       worker threads, at most 256\n"
    "\n"
    "This is squenv " SQUENV_VERSION "; squenv-mount(1) describes all options.\n";

/// The single letters without a value, which may be joined as in "-fs".
Status apply_letters(const std::string& letters, daemon::Request& request) {
    for (const char letter : letters) {
        switch (letter) {
            case 'f': request.is_foreground = true; break;
            case 'd': request.trace = true; break;
            case 's': request.threads = 1; break;
            default:
                return fail(Errc::invalid_argument, std::string("unknown option '-") + letter + "'",
                            "see --help");
        }
    }
    return {};
}

}  // namespace

Status run_as_squashfuse(const std::vector<std::string>& arguments, Io& io) {
    daemon::Request request;
    const std::string& path = arguments.front();
    request.subtype = path.substr(path.rfind('/') + 1);
    const std::string name = request.subtype;
    std::vector<std::string> notes;
    const OptionRules rules{Dialect::squashfuse, false, &notes};
    std::vector<std::string> operands;
    bool is_options = true;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (!is_options || word.size() < 2 || word[0] != '-') {
            operands.push_back(word);
        } else if (word == "--") {
            is_options = false;
        } else if (word == "-h" || word == "--help") {
            io.out << kSquashfuseHelp;
            return {};
        } else if (word == "-V" || word == "--version") {
            io.out << "squashfuse (squenv " SQUENV_VERSION ")\n";
            return {};
        } else if (word == "-o") {
            if (++i == arguments.size())
                return fail(Errc::invalid_argument, "-o needs a value", "see --help");
            SQUENV_TRY(apply_mount_options(arguments[i], request, rules));
        } else if (word.starts_with("-o")) {
            SQUENV_TRY(apply_mount_options(word.substr(2), request, rules));
        } else {
            SQUENV_TRY(apply_letters(word.substr(1), request));
        }
    }
    if (operands.size() != 2)
        return fail(Errc::invalid_argument, "expected ARCHIVE and MOUNTPOINT", "see --help");
    SQUENV_TRY_ASSIGN(request.image_path, versions::resolve(operands[0]));
    request.mountpoint = operands[1];
    for (const auto& note : notes) io.err << name << ": " << printable(note) << '\n';
    return daemon::serve(request, inherited_descriptors());
}

}  // namespace squenv::cli
