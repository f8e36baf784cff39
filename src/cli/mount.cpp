// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/mount_options.h"

namespace squenv::cli {

namespace {

class MountCommand final : public Command {
  public:
    const char* name() const override { return "mount"; }
    const char* summary() const override { return "Mount an image"; }
    void declare(CLI::App& app) override {
        app.add_option("IMAGE", request_.image_path, "The image file")->required();
        app.add_option("MOUNTPOINT", request_.mountpoint, "Where; default: the recorded path");
        app.add_option("-o", options_, "Mount options, see squenv-mount(1)")
            ->type_name("OPT,...")
            ->allow_extra_args(false);
        app.add_flag("-f,--foreground", request_.is_foreground, "Serve until unmounted");
        app.add_flag("-d,--debug", request_.trace, "Print every request; implies -f");
        app.add_option("--via", via_, "auto, direct or fusermount")->type_name("METHOD");
        app.add_option("--log", request_.log_destination, "stderr, syslog or a file")
            ->type_name("DEST");
    }
    Status run(Io& io) override {
        for (const auto& options : options_) SQUENV_TRY(apply_mount_options(options, request_));
        SQUENV_TRY_ASSIGN(request_.method, mount::parse_method(via_));
        if (io.is_verbose) request_.log_level = log::Level::debug;
        if (io.is_quiet) request_.log_level = log::Level::error;
        if (request_.mountpoint.empty())
            return fail(Errc::invalid_argument,
                        request_.image_path + ": no MOUNTPOINT given and the image records none",
                        "name the directory to mount on");
        return mount::serve(request_);
    }

  private:
    mount::MountRequest request_;
    std::vector<std::string> options_;
    std::string via_ = "auto";
};

}  // namespace

std::unique_ptr<Command> make_mount_command() {
    return std::make_unique<MountCommand>();
}

}  // namespace squenv::cli
