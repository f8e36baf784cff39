// SPDX-License-Identifier: MIT
#include "daemon/daemon.h"

#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/descriptor_limit.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon/event_loop.h"
#include "daemon/recorded_names.h"
#include "daemon/sandbox.h"
#include "daemon/tree_walker.h"
#include "fuse/session.h"
#include "mount/connection.h"
#include "share/rendezvous.h"
#include "system/mount_table.h"
#include "system/starter.h"

namespace squenv::daemon {

namespace {

/// Threads of the same size class must not each keep their own arena of freed block buffers.
void limit_allocator() {
    ::mallopt(M_ARENA_MAX, 2);
    ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

/// A thread that stores a page may wait for one that is locked by a request. When the daemon is
/// killed then, it and the users of the mount can only be freed by ending the connection.
bool may_store_pages(const Request& request, std::uint32_t device_minor) {
    if (request.prefetch == Prefetch::on || mount::can_abort(device_minor)) return true;
    log::info(
        "{}: nothing is stored ahead, because fusectl is not mounted: a daemon that is killed "
        "meanwhile could leave processes that cannot be killed",
        request.image_path);
    return false;
}

Result<log::Destination> open_log(const Request& request) {
    std::string destination = request.log_destination;
    if (destination.empty())
        destination = request.is_foreground || request.trace ? "stderr" : "syslog";
    return log::open(destination, request.log_level);
}

}  // namespace

Result<Opened> open_request(const Request& request) {
    Opened opened;
    SQUENV_TRY_ASSIGN(opened.image, image::Image::open(request.file, request.image));
    opened.identity = content_identity(request);
    fuse::ViewOptions view = request.view;
    const bool may_read_all = ::geteuid() == 0 && system::is_initial_user_namespace();
    if (!request.allow_other && !view.uid && !may_read_all) view.reader = ::geteuid();
    if (!request.allow_other && request.allow_root) view.root_owner = ::geteuid();
    auto file_system = fuse::FileSystem::create(*opened.image, view);
    if (!file_system) return with_context(file_system.error(), request.image_path);
    opened.file_system = std::make_unique<fuse::FileSystem>(std::move(*file_system));
    opened.image_name = real_path(request.image_path);
    if (!request.stage_directory.empty()) {
        SQUENV_TRY_ASSIGN(auto stage, Stage::open(request.stage_directory, *opened.image));
        opened.stage = std::make_unique<Stage>(std::move(stage));
    }
    if (!request.record_path.empty()) {
        SQUENV_TRY_ASSIGN(opened.record, RecordingFile::open(request.record_path, *request.file));
    }
    SQUENV_TRY_ASSIGN(opened.log, open_log(request));
    return opened;
}

mount::KernelMount kernel_mount_of(const Request& request, const Opened& opened) {
    mount::KernelMount kernel;
    kernel.mountpoint = opened.mountpoint;
    kernel.source = request.source_name.empty() ? opened.image_name : request.source_name;
    kernel.subtype = request.subtype;
    kernel.allow_other = request.allow_other || request.allow_root;
    // Owners that were made up say nothing of what the one user of the mount may do.
    kernel.default_permissions = kernel.allow_other || !request.view.uid;
    kernel.noexec = request.noexec;
    return kernel;
}

Result<Supervisor> mount_in_place(const Request& request, Opened& opened, int held_fd) {
    SQUENV_TRY_ASSIGN(auto supervisor,
                      Supervisor::start({opened.mountpoint, 0, opened.hold.created, held_fd}));
    auto mounted = mount::mount_kernel(kernel_mount_of(request, opened), request.method);
    if (!mounted) {
        supervisor.dismiss();
        return tl::unexpected(mounted.error());
    }
    opened.device = std::move(mounted->device);
    // A directory above the mount may have been renamed by now, so its path is asked last.
    opened.device_minor = mount::connection_of(opened.device.get());
    if (opened.device_minor == 0) opened.device_minor = system::minor_at(opened.mountpoint);
    supervisor.mounted(opened.device_minor);
    return supervisor;
}

Status run_daemon(const Request& request, Opened opened, Service service,
                  const std::function<void()>& on_ready) {
    limit_allocator();
    const RaisedDescriptorLimit many_users;
    Supervisor& supervisor = service.supervisor;
    supervisor.watch_this_thread();
    if (service.members && service.members->listener() >= 0)
        share::announce_listener(service.members->listener());
    SQUENV_TRY_ASSIGN(auto events, EventLoop::create());
    std::optional<TreeWalker> walker;
    // What is done ahead of the users hides what they do.
    const bool has_prefetch = request.prefetch != Prefetch::off && !opened.record;
    const int processor = has_prefetch ? other_processor() : -1;
    fuse::Recorder recorder;
    std::vector<appendix::HotItem> hot;
    const bool stores_pages = has_prefetch && may_store_pages(request, service.device_minor);
    // Without stores there is nothing that the list would be ahead of: the walker lists the tree.
    if (stores_pages) hot = load_hot_list(*opened.image);
    if (processor >= 0) {
        SQUENV_TRY_ASSIGN(walker,
                          TreeWalker::start(opened.mountpoint, processor,
                                            service.namespaces ? &service.namespaces : nullptr,
                                            recorded_names(hot, request.view)));
        ::signal(SIGCHLD, SIG_IGN);  // nobody waits for the walker
    }
    const bool is_in_userns = static_cast<bool>(service.namespaces);
    if (service.members && !is_in_userns) service.members->set_device_minor(service.device_minor);
    service.namespaces = {};
    fuse::SessionOptions options;
    options.walker_processor = processor;
    options.walker_pid = walker ? walker->pid() : -1;
    options.keeps_tables = has_prefetch;
    options.prefetch.stores_pages = stores_pages;
    options.prefetch.recorded = std::move(hot);
    if (walker)
        options.prefetch.call_walker = [&events](prefetch::WalkerCall call) {
            events.post(call == prefetch::WalkerCall::now ? Event::listers : Event::quiet);
        };
    options.recorder = opened.record ? &recorder : nullptr;
    options.threads = request.threads;
    options.trace = request.trace;
    options.only_owner_and_root = request.allow_root && !request.allow_other;
    options.name = opened.image_name;
    options.identity = opened.identity;
    SQUENV_TRY_ASSIGN(auto session,
                      fuse::Session::create(*opened.file_system, std::move(options),
                                            std::move(opened.device)));
    drop_privileges();
    if (opened.stage) opened.stage->start(*opened.image);
    SQUENV_TRY(session->start(
        [&] {
            on_ready();
            if (opened.stage) opened.stage->begin();
            events.post(Event::ready);
        },
        [&] { events.post(Event::unmounted); }));
    Served served{*session,
                  supervisor,
                  walker,
                  service.lifetime,
                  service.members ? &*service.members : nullptr,
                  is_in_userns,
                  request.idle_timeout};
    events.run(served);
    session->join();
    if (opened.record)
        if (const auto written =
                opened.record->write(recorder.finish(*opened.file_system, session->counters()));
            !written)
            log::error("the trace is lost: {}", written.error().message());
    supervisor.dismiss();
    return {};
}

Status start_daemon(const Request& request, Opened opened, Service service,
                    const std::vector<int>& inherited_fds, const std::function<void()>& on_ready) {
    SQUENV_TRY_ASSIGN(auto background, system::Background::start());
    if (!background.is_daemon()) {
        // The parent's copy of the connection must go, or a daemon that dies goes unnoticed.
        opened.device.reset();
        return background.wait_until_ready();
    }
    system::forget_starter(service.lifetime == Lifetime::until_unmounted
                               ? system::Processors::as_given
                               : system::Processors::all);
    // What the caller was given, such as a pipe or a lock, is none of the daemon's.
    for (const int fd : inherited_fds) ::close(fd);
    opened.log.use();
    const auto status = run_daemon(request, std::move(opened), std::move(service), [&] {
        on_ready();
        background.report_ready();
    });
    if (!status) background.report_failure(status.error());
    log::stop();
    std::_Exit(status ? 0 : 1);
}

}  // namespace squenv::daemon
