// SPDX-License-Identifier: MIT
// Called by mount(8) as mount.squenv: "mount.squenv IMAGE DIR [-sfnv] [-t TYPE] [-o OPTIONS]", and
// by mount.fuse3 as squenv with the same words. Exit statuses are those of mount(8).
#include <ostream>
#include <string_view>

#include "base/inherited_fds.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/mount_options.h"
#include "config.h"
#include "daemon/serve.h"
#include "system/mount_table.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

/// mount(8), EXIT STATUS. mount(8) itself sets 64, which means that some of several mounts
/// succeeded.
constexpr int kWrongUse = 1;
constexpr int kSystemError = 2;
constexpr int kInterrupted = 8;
constexpr int kMountFailure = 32;

constexpr const char* kMountHelp =
    "usage: mount.squenv IMAGE DIR [-sfnv] [-t TYPE] [-o OPTIONS]\n"
    "\n"
    "    -s             ignore unknown mount options\n"
    "    -f             check the command line, do not mount\n"
    "    -n             without effect\n"
    "    -v             log debug lines\n"
    "    -t TYPE        without effect\n"
    "    -o OPTIONS     mount options, see squenv-mount(1)\n"
    "    -h, --help     print this help\n"
    "    -V, --version  print the version\n";
constexpr const char* kSeeHelp = "see 'mount.squenv --help'";

/// The parsed command line.
struct HelperCall {
    std::vector<std::string> operands{};
    std::vector<std::string> options{};
    bool is_sloppy = false;
    bool is_fake = false;
    bool is_verbose = false;
    const char* answer = nullptr;  ///< what is printed instead of mounting
};

Status apply_letters(const std::string& word, HelperCall& call) {
    for (const char letter : word.substr(1)) {
        switch (letter) {
            case 's': call.is_sloppy = true; break;
            case 'f': call.is_fake = true; break;
            case 'v': call.is_verbose = true; break;
            case 'n': break;  // there is no /etc/mtab to write
            case 'h': call.answer = kMountHelp; break;
            case 'V': call.answer = "mount.squenv (squenv " SQUENV_VERSION ")\n"; break;
            case 'N':
                return fail(Errc::invalid_argument, "-N: other namespaces are not entered",
                            "use 'nsenter --mount=NAMESPACE squenv mount IMAGE DIR'");
            default: return fail(Errc::invalid_argument, "unknown option '" + word + "'", kSeeHelp);
        }
    }
    return {};
}

Result<HelperCall> parse_call(const std::vector<std::string>& arguments) {
    HelperCall call;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-o" || word == "-t") {
            if (++i == arguments.size())
                return fail(Errc::invalid_argument, word + " needs a value", kSeeHelp);
            // The type is the name by which mount(8) found this program.
            if (word == "-o") call.options.push_back(arguments[i]);
        } else if (word == "--help") {
            SQUENV_TRY(apply_letters("-h", call));
        } else if (word == "--version") {
            SQUENV_TRY(apply_letters("-V", call));
        } else if (word.size() > 1 && word[0] == '-') {
            SQUENV_TRY(apply_letters(word, call));
        } else {
            call.operands.push_back(word);
        }
    }
    if (call.answer == nullptr && call.operands.size() != 2)
        return fail(Errc::invalid_argument, "expected IMAGE and DIR", kSeeHelp);
    return call;
}

Result<daemon::Request> request_of(const HelperCall& call, std::vector<std::string>& notes) {
    daemon::Request request;
    for (const auto& options : call.options)
        SQUENV_TRY(apply_mount_options(options, request, {Dialect::mount, call.is_sloppy, &notes}));
    SQUENV_TRY_ASSIGN(request.image_path, versions::resolve(call.operands[0]));
    request.mountpoint = call.operands[1];
    if (call.is_verbose) request.log_level = log::Level::debug;
    return request;
}

bool is_remount(const HelperCall& call) {
    for (const auto& options : call.options)
        if (has_option(options, "remount")) return true;
    return false;
}

/// An image does not change: a remount does nothing, if the mount exists.
Status remount(const std::string& path) {
    SQUENV_TRY_ASSIGN(const auto mountpoint, system::canonical_mountpoint(path));
    SQUENV_TRY_ASSIGN(const auto entry, system::find_mount(mountpoint));
    if (entry && entry->is_squenv()) return {};
    return fail(Errc::not_found, mountpoint + ": no image is mounted here",
                "mount it without remount");
}

int status_of(Errc code) {
    switch (code) {
        case Errc::limit:
        case Errc::internal: return kSystemError;
        case Errc::cancelled: return kInterrupted;
        default: return kMountFailure;
    }
}

int failed(Io& io, std::string_view who, const Error& error, int status) {
    io.err << who << ": " << printable(error.message()) << '\n';
    return status;
}

}  // namespace

int run_as_mount_helper(const std::vector<std::string>& arguments, Io& io) {
    const std::string& path = arguments.front();
    const std::string who = path.substr(path.rfind('/') + 1);
    const auto call = parse_call(arguments);
    if (!call) return failed(io, who, call.error(), kWrongUse);
    if (call->answer != nullptr) {
        io.out << call->answer;
        return 0;
    }
    std::vector<std::string> notes;
    const auto request = request_of(*call, notes);
    if (!request) return failed(io, who, request.error(), kWrongUse);
    for (const auto& note : notes) io.err << who << ": " << printable(note) << '\n';
    if (call->is_fake) return 0;
    const auto status = is_remount(*call) ? remount(request->mountpoint)
                                          : daemon::serve(*request, inherited_descriptors());
    return status ? 0 : failed(io, who, status.error(), status_of(status.error().code));
}

}  // namespace squenv::cli
