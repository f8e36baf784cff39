// SPDX-License-Identifier: MIT
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "base/inherited_fds.h"
#include "cli/command.h"
#include "cli/given_path.h"
#include "cli/image_argument.h"
#include "cli/image_list.h"
#include "cli/image_name.h"
#include "cli/manifest.h"
#include "cli/mount_options.h"
#include "cli/uenv_metadata.h"
#include "daemon/serve.h"
#include "mount/answer.h"
#include "run/destination.h"
#include "share/kill_scope.h"
#include "system/mount_table.h"
#include "system/namespace_mates.h"
#include "versions/versions.h"

namespace squenv::cli {

namespace {

/// Whether a process serves mounts, by its name.
bool is_of_squenv(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/comm");
    std::string name;
    return !std::getline(file, name) || name.starts_with("squenv");
}

/// ", process 12,": the daemon of the mount at `path`, or "".
std::string daemon_at(const std::string& path) {
    const auto entry = system::find_mount(path);
    const auto answer = mount::query_answer(path, entry && *entry ? &**entry : nullptr);
    const auto pid = answer ? mount::number_in(*answer, "pid", 1, mount::kMaxPid)
                            : std::optional<std::uint64_t>();
    return pid ? fmt::format(", process {},", *pid) : std::string();
}

class MountCommand final : public Command {
  public:
    const char* name() const override { return "mount"; }
    const char* summary() const override { return "Mount an image"; }
    void declare(Options options) override {
        options.add("IMAGE", request_.image_path, "The image file").required();
        options.add("MOUNTPOINT", request_.mountpoint, "Where; default: the recorded path")
            .each([this](const std::string& given) { is_empty_ = given.empty(); });
        options.add("-o", options_, "Mount options, see squenv-mount(1)")
            .type_name("OPT,...")
            .one_value_each();
        options.add_flag("-f,--foreground", request_.is_foreground, "Serve until unmounted");
        options.add_flag("-d,--debug", request_.trace, "Print every request; implies -f");
        options.add("--via", via_, "auto, direct or fusermount").type_name("METHOD");
        options.add("--log", request_.log_destination, "stderr, syslog or a file")
            .type_name("DEST");
    }
    Status run(Io& io) override {
        const auto inherited_fds = inherited_descriptors();
        // An unset variable of a script must not mean the recorded path.
        if (is_empty_)
            return fail(Errc::invalid_argument, "MOUNTPOINT is empty", "name a directory");
        SQUENV_TRY_ASSIGN(request_.image_path, versions::resolve(request_.image_path));
        SQUENV_TRY_ASSIGN(request_.mountpoint, given_path(request_.mountpoint));
        SQUENV_TRY_ASSIGN(request_.image_path, image_file(request_.image_path));
        for (const auto& options : options_) SQUENV_TRY(apply_mount_options(options, request_));
        request_.log_destination = log_destination(request_.log_destination);
        SQUENV_TRY_ASSIGN(request_.method, mount::parse_method(via_));
        if (request_.method == mount::Method::userns || request_.method == mount::Method::extract)
            return fail(Errc::invalid_argument,
                        "--via " + via_ + ": only the programs of 'squenv run' would see it",
                        "use 'squenv run --via " + via_ + " IMAGE -- COMMAND'");
        if (io.is_verbose) request_.log_level = log::Level::debug;
        if (io.is_quiet) request_.log_level = log::Level::error;
        SQUENV_TRY(consult_manifest(io));
        const bool hides = !io.is_quiet && run::hides_content(request_.mountpoint);
        const bool stays = !request_.is_foreground && !request_.trace;
        if (!stays) io.err << notice_;
        SQUENV_TRY(daemon::serve(request_, inherited_fds));
        if (stays) io.err << notice_;
        if (const auto job = share::killing_job(); stays && !job.empty() && !io.is_quiet)
            io.err << "squenv mount: the end of " << printable(job) << " kills the daemon; "
                   << "'squenv run' mounts for as long as a command needs it\n";
        if (stays && hides)
            io.err << "squenv mount: " << printable(request_.mountpoint)
                   << ": what is in this directory is hidden until 'squenv umount'\n";
        if (stays && !io.is_quiet) tell_if_unseen(io);
        return {};
    }

  private:
    /// A namespace that was made for this command alone has no process then but those that serve.
    /// Whether another one may enter it later, nothing can tell: a file or a descriptor may hold
    /// it.
    void tell_if_unseen(Io& io) const;
    Status consult_manifest(Io& io);
    /// Mounts at `recorded`, if an image may choose that. `root` is where its root belongs.
    Status use_recorded(const std::string& recorded, const std::string& root);

    daemon::Request request_;
    std::vector<std::string> options_;
    std::string via_ = "auto";
    bool is_empty_ = false;
    std::string notice_{};  ///< for the user, once the image is mounted
};

Status MountCommand::use_recorded(const std::string& recorded, const std::string& root) {
    const auto status = run::check_recorded_destination(recorded, root);
    if (!status) return with_context(status.error(), request_.image_path);
    request_.mountpoint = recorded;
    return {};
}

void MountCommand::tell_if_unseen(Io& io) const {
    if (system::shares_mount_namespace(::getppid())) return;
    const auto mates = system::mount_namespace_mates();
    if (!std::all_of(mates.begin(), mates.end(), is_of_squenv)) return;
    const auto path = system::canonical_mountpoint(request_.mountpoint);
    if (!path) return;
    io.err << fmt::format(
        "squenv mount: {}: no other process is in this mount namespace and sees the mount; the "
        "daemon{} stays until it is killed; 'squenv run' mounts for as long as a command needs "
        "it\n",
        printable(*path), daemon_at(*path));
}

/// Sets a mount point that was left out to the recorded path, or notes that the given one differs.
/// An unreadable appendix matters only when something is needed from it.
Status MountCommand::consult_manifest(Io& io) {
    const bool is_given = !request_.mountpoint.empty();
    if (is_given && io.is_quiet) return {};
    if (const auto status = daemon::open_image(request_); !status)
        return is_given ? Status() : status;  // serve() reports it
    auto image = image::Image::open(request_.file, request_.image);
    if (!image) return is_given ? Status() : tl::unexpected(image.error());  // serve() says it
    const auto manifest = (*image)->manifest();
    Result<std::string> recorded;
    if (!manifest)
        recorded = tl::unexpected(manifest.error());
    else if (*manifest)
        recorded = recorded_mountpoint(**manifest, request_.view.subdirectory);
    const char* const next_step = "name the directory to mount on";
    if (is_given) {
        const bool is_bound = manifest && *manifest && !(*manifest)->is_relocatable &&
                              environment_in(**image, *manifest, request_.view.subdirectory) !=
                                  venv::EnvironmentKind::none;
        if (is_bound && recorded && !recorded->empty() &&
            !is_same_place(request_.mountpoint, *recorded))
            notice_ = "squenv mount: " + printable(request_.image_path) + ": packed at " +
                      printable(*recorded) + " and not relocatable; its programs may not work at " +
                      printable(request_.mountpoint) + '\n';
        return {};
    }
    // The paths in the views of a uenv are all below its own.
    if (request_.view.subdirectory.empty())
        if (const auto uenv = read_uenv_metadata(request_.image_path, **image); uenv && *uenv)
            return use_recorded((*uenv)->mount, (*uenv)->mount);
    if (!recorded) {
        Error error = recorded.error();
        if (error.hint.empty()) error.hint = next_step;
        return with_context(std::move(error), request_.image_path);
    }
    if (recorded->empty())
        return fail(Errc::invalid_argument,
                    request_.image_path + ": no MOUNTPOINT given and the image records none",
                    next_step);
    return use_recorded(*recorded, (*manifest)->mount_point);
}

}  // namespace

std::unique_ptr<Command> make_mount_command() {
    return std::make_unique<MountCommand>();
}

}  // namespace squenv::cli
