// SPDX-License-Identifier: MIT
// Called as mount.squenv by mount(8): "mount.squenv IMAGE DIR [-sfnv] [-N ns] [-o OPTIONS]".
#include "cli/command.h"
#include "cli/mount_options.h"
#include "mount/serve.h"

namespace squenv::cli {

Status run_as_mount_helper(const std::vector<std::string>& arguments, Io& io) {
    mount::MountRequest request;
    std::vector<std::string> operands;
    bool is_sloppy = false;
    bool is_fake = false;
    std::vector<std::string> options;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-o" && i + 1 < arguments.size()) {
            options.push_back(arguments[++i]);
        } else if (word.size() > 1 && word[0] == '-') {
            for (const char letter : word.substr(1)) {
                switch (letter) {
                    case 's': is_sloppy = true; break;
                    case 'f': is_fake = true; break;
                    case 'v': io.is_verbose = true; break;
                    case 'n': break;  // there is no /etc/mtab to write
                    default:
                        return fail(Errc::invalid_argument, "unknown option '" + word + "'",
                                    "usage: mount.squenv IMAGE DIR [-sfnv] [-o OPTIONS]");
                }
            }
        } else {
            operands.push_back(word);
        }
    }
    if (operands.size() != 2)
        return fail(Errc::invalid_argument, "expected IMAGE and DIR",
                    "usage: mount.squenv IMAGE DIR [-sfnv] [-o OPTIONS]");
    for (const auto& option : options)
        SQUENV_TRY(apply_mount_options(option, request, {is_sloppy, true}));
    request.image_path = operands[0];
    request.mountpoint = operands[1];
    if (io.is_verbose) request.log_level = log::Level::debug;
    if (is_fake) return {};
    return mount::serve(request);
}

}  // namespace squenv::cli
