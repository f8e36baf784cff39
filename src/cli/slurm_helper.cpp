// SPDX-License-Identifier: MIT
// Called as squenv-slurm by the plugin for Slurm. Before a job queues it checks the images. On a
// node it has them for the process that is about to become a task. src/spank/helper.h describes the
// answer, which goes to a socket.
#include "cli/slurm_helper.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <ostream>
#include <sstream>

#include "base/environment.h"
#include "base/file_io.h"
#include "base/process.h"
#include "base/socket_message.h"
#include "base/text.h"
#include "cli/launch.h"
#include "cli/program_frame.h"

namespace squenv::cli {

namespace {

/// What a task finds in its environment, see src/spank/spank_squenv.c.
constexpr const char* kRequestVariable = "SLURM_SQUENV";
/// The names of the labels that the images of the request were found by, "" for each other one.
constexpr const char* kNamesVariable = "SLURM_SQUENV_NAMES";

using Variables = std::map<std::string, std::string>;

/// The difference in the form of the answer.
std::string changes(const Variables& before, const Variables& after) {
    std::string text;
    for (const auto& [name, value] : after)
        if (const auto old = before.find(name); old == before.end() || old->second != value)
            text += name + '=' + value + '\0';
    for (const auto& [name, value] : before)
        if (!after.contains(name)) text += name + '\0';
    return text;
}

Status send_answer(int socket, const std::string& letters, const std::vector<int>& descriptors,
                   const std::string& variables) {
    if (descriptors.size() > kMaxMessageDescriptors)
        return fail(Errc::limit, "more images than one task can have", "name fewer of them");
    SQUENV_TRY(send_message(socket, letters + '\0', descriptors));
    return write_all(socket, as_bytes(variables + '\0'));
}

/// The images in the form of the command line, for a process with another working directory. A
/// symlink stays: other nodes may have another target for it.
std::string absolute_list(const Launch& launch) {
    std::string list;
    for (const auto& image : launch.images) {
        if (!list.empty()) list += ',';
        list += escaped(std::filesystem::absolute(image.image).string(), ",:");
        const std::string& path = image.wanted.request.mountpoint;
        if (image.is_given) list += ':' + escaped(std::filesystem::absolute(path).string(), ",:");
    }
    return list;
}

std::string label_names(const Launch& launch) {
    std::string names;
    bool has_name = false;
    for (const auto& image : launch.images) {
        if (&image != &launch.images.front()) names += ',';
        names += image.label_name;
        has_name = has_name || !image.label_name.empty();
    }
    return has_name ? names : "";
}

/// The images of a request that another process has made absolute have the names of its labels: a
/// view may be written with one.
Status list_images(LaunchOptions& options) {
    SQUENV_TRY_ASSIGN(options.listed, parse_image_list(options.images));
    if (options.images != environment_variable(kRequestVariable)) return {};
    std::istringstream names(environment_variable(kNamesVariable));
    for (auto& listed : options.listed) std::getline(names, listed.label_name, ',');
    return {};
}

class SlurmHelper final : public Command {
  public:
    const char* name() const override { return "squenv-slurm"; }
    const char* summary() const override { return "Images for a task of Slurm"; }
    void declare(Options options) override;
    int failure_status(Errc code) const override { return launch_status(has_provided_, code); }
    Status run(Io& io) override;

  private:
    Status provide(const Launch& launch, Io& io);

    LaunchOptions options_;
    int socket_ = -1;
    pid_t task_ = 0;
    std::string program_{};
    bool is_not_activated_ = false;
    bool has_provided_ = false;
};

void SlurmHelper::declare(Options options) {
    options_.declare(options);
    options.add("--socket", socket_, "Descriptor for the answer").required();
    options.add("--task", task_, "Process that uses the images; without it they are checked");
    options.add("--program", program_, "What the task is going to run");
    options.add_flag("--no-activate", is_not_activated_, "Only mount");
}

Status SlurmHelper::provide(const Launch& launch, Io& io) {
    const Variables before = process_variables();
    // They tell of mounts of the submit host or of an outer step.
    for (const char* name : {"SQUENV_MOUNTS", "UENV_MOUNT_LIST", "UENV_VIEW"}) ::unsetenv(name);
    SQUENV_TRY_ASSIGN(const auto held, hold_images(launch, io));
    has_provided_ = true;
    SQUENV_TRY(check_environments(launch, held, program_, io));
    held.pass_to(task_);
    std::string letters;
    std::vector<int> descriptors;
    const auto add = [&](char letter, const UniqueFd& fd) {
        if (!fd) return;
        letters += letter;
        descriptors.push_back(fd.get());
    };
    add('u', held.namespaces().user);
    add('m', held.namespaces().mount);
    add('r', held.namespaces().root);
    for (const auto& connection : held.connections()) add('k', connection);
    return send_answer(socket_, letters, descriptors, changes(before, process_variables()));
}

Status SlurmHelper::run(Io& io) {
    if (is_not_activated_) options_.views.no_default_view = true;
    SQUENV_TRY(list_images(options_));
    SQUENV_TRY_ASSIGN(auto launch, prepare_launch(options_, io));
    for (auto& image : launch.images) {
        if (!is_not_activated_) break;
        image.kind = venv::EnvironmentKind::none;
        image.inner_environment.clear();
    }
    if (task_ != 0) return provide(launch, io);
    const std::string request = kRequestVariable + ('=' + absolute_list(launch)) + '\0';
    const std::string names = kNamesVariable + ('=' + label_names(launch)) + '\0';
    return send_answer(socket_, "", {}, request + names);
}

}  // namespace

int run_as_slurm_helper(const std::vector<std::string>& arguments, Io& io) {
    const std::string node = environment_variable("SLURMD_NODENAME");
    const std::string who = node.empty() ? "squenv" : "squenv on " + node;
    CLI::App app;
    SlurmHelper helper;
    declare_options(app, helper, io);
    try {
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - 1));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error, io.out, io.err);
        io.err << who << ": " << printable(error.what()) << '\n';
        return kUsage;
    }
    return run_command(io, who, helper);
}

}  // namespace squenv::cli
