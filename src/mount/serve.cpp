// SPDX-License-Identifier: MIT
#include "mount/serve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>

#include "fuse/session.h"
#include "mount/background.h"
#include "mount/event_loop.h"
#include "mount/keeper.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/record_file.h"
#include "mount/sandbox.h"
#include "mount/stage.h"
#include "mount/warmer.h"

namespace squenv::mount {

namespace {

/// Seconds a script has to open the pipe it is told on.
constexpr unsigned kNotifyPatience = 60;

/// Opening a fifo waits for its reader, and the sandboxed daemon may open nothing: a process of
/// its own does it. Gets one byte, or none when whoever mounts died.
[[noreturn]] void deliver_notice(int source, const char* path) {
    ::setsid();
    if (const auto null = open_file("/dev/null", O_RDWR))
        for (int fd = 0; fd <= 2; ++fd) ::dup2(null->get(), fd);
    char byte = 'f';
    while (::read(source, &byte, 1) < 0 && errno == EINTR) {
    }
    ::alarm(kNotifyPatience);
    if (const auto fd = open_file(path, O_WRONLY)) (void)!::write(fd->get(), &byte, 1);
    ::_exit(0);
}

/// Tells a script that waits on a fifo how the mount went.
class Notifier {
  public:
    /// Before any thread exists. An empty path tells nobody.
    static Result<Notifier> start(const std::string& path) {
        if (path.empty()) return Notifier({});
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
        const UniqueFd reader(ends[0]);
        UniqueFd writer(ends[1]);
        const pid_t child = ::fork();
        if (child < 0) return fail_errno(errno, "fork");
        if (child == 0) {
            writer.reset();
            if (::fork() != 0) ::_exit(0);
            deliver_notice(reader.get(), path.c_str());
        }
        while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
        }
        return Notifier(std::move(writer));
    }
    void tell(bool is_mounted) {
        if (writer_) (void)!::write(writer_.get(), is_mounted ? "s" : "f", 1);
        writer_.reset();
    }

  private:
    explicit Notifier(UniqueFd writer) : writer_(std::move(writer)) {}
    UniqueFd writer_;
};

std::string absolute_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

/// What is open once the mount exists, in order of construction.
struct Opened {
    std::unique_ptr<image::Image> image;
    std::unique_ptr<fuse::FileSystem> file_system;
    std::string mountpoint;
    std::string image_name;
    std::optional<RecordFile> record;
    std::optional<Stage> stage;
    MountedDevice device;
};

/// Everything that can fail in front of the user.
Result<Opened> open_and_mount(const MountRequest& request) {
    Opened opened;
    SQUENV_TRY_ASSIGN(opened.image, image::Image::open(request.image_path, request.image));
    auto file_system = fuse::FileSystem::create(*opened.image, request.view);
    if (!file_system) return with_context(file_system.error(), request.image_path);
    opened.file_system = std::make_unique<fuse::FileSystem>(std::move(*file_system));
    SQUENV_TRY_ASSIGN(opened.mountpoint, canonical_mountpoint(request.mountpoint));
    SQUENV_TRY(prepare_mountpoint(opened.mountpoint));
    if (!request.stage_directory.empty()) {
        SQUENV_TRY_ASSIGN(auto stage, Stage::open(request.stage_directory, *opened.image));
        opened.stage.emplace(std::move(stage));
    }
    if (!request.record_path.empty()) {
        SQUENV_TRY_ASSIGN(opened.record, RecordFile::open(request.record_path));
    }
    opened.image_name = absolute_path(request.image_path);
    KernelMount kernel;
    kernel.mountpoint = opened.mountpoint;
    kernel.source = request.source_name.empty() ? opened.image_name : request.source_name;
    kernel.subtype = request.subtype;
    kernel.allow_other = request.allow_other || request.allow_root;
    kernel.default_permissions = request.default_permissions || kernel.allow_other;
    SQUENV_TRY_ASSIGN(opened.device, mount_kernel(kernel, request.method));
    return opened;
}

/// What the packer recorded; a list that cannot be read is none.
std::vector<appendix::HotItem> load_hot_list(const image::Image& image) {
    const auto& source = image.source();
    auto list = appendix::load_hot_list(image.superblock().bytes_used, source.size_bytes(),
                                        [&source](std::uint64_t position, MutableBytes out) {
                                            return source.read_exact(position, out);
                                        });
    if (!list) log::debug("no hot list: {}", list.error().message());
    return list ? std::move(*list) : std::vector<appendix::HotItem>();
}

/// The names in `hot` as they are seen in the mount, in order.
std::vector<WarmName> hot_names(const std::vector<appendix::HotItem>& hot,
                                const fuse::ViewOptions& view) {
    using Kind = appendix::HotItem::Kind;
    std::string prefix = view.subdirectory;
    while (prefix.starts_with('/')) prefix.erase(0, 1);
    while (prefix.ends_with('/')) prefix.pop_back();
    std::vector<WarmName> names;
    for (const auto& item : hot) {
        if (item.kind == Kind::range) continue;
        const bool is_directory = item.kind == Kind::directory;
        if (prefix.empty())
            names.push_back({item.path, is_directory});
        else if (item.path.starts_with(prefix + '/'))
            names.push_back({item.path.substr(prefix.size() + 1), is_directory});
    }
    return names;
}

/// Threads of the same size class must not each keep their own arena of freed block buffers.
void limit_allocator() {
    ::mallopt(M_ARENA_MAX, 2);
    ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

/// Serves until the mount is gone. `on_ready` is called once INIT was answered.
Status run(const MountRequest& request, Opened opened, const std::function<void()>& on_ready) {
    limit_allocator();
    SQUENV_TRY_ASSIGN(auto keeper, Keeper::start(opened.mountpoint));
    SQUENV_TRY_ASSIGN(auto events, EventLoop::create());
    std::optional<Warmer> warmer;
    // What is done ahead of the users hides what they do.
    const bool has_prefetch = request.prefetch && !opened.record;
    const int processor = has_prefetch ? other_processor() : -1;
    fuse::Recorder recorder;
    std::vector<appendix::HotItem> hot;
    if (has_prefetch) hot = load_hot_list(*opened.image);
    if (processor >= 0) {
        SQUENV_TRY_ASSIGN(warmer, Warmer::start(opened.mountpoint, processor, hot_names(hot, request.view)));
        ::signal(SIGCHLD, SIG_IGN);  // nobody waits for the warmer
    }
    fuse::SessionOptions options;
    options.warming_processor = processor;
    options.warmer_pid = warmer ? warmer->pid() : -1;
    options.prefetch = has_prefetch;
    options.hot = std::move(hot);
    if (warmer && !options.hot.empty()) {
        options.on_quiet = [&events] { events.post(Event::quiet); };
        options.on_listers = [&events] { events.post(Event::listers); };
    }
    options.recorder = opened.record ? &recorder : nullptr;
    options.threads = request.threads;
    options.trace = request.trace;
    options.only_owner_and_root = request.allow_root && !request.allow_other;
    options.name = opened.image_name;
    SQUENV_TRY_ASSIGN(auto session, fuse::Session::create(*opened.file_system, options,
                                                          std::move(opened.device.device)));
    drop_privileges();
    if (opened.stage) opened.stage->start(*opened.image);
    session->start(
        [&] {
            on_ready();
            if (opened.stage) opened.stage->begin();
            events.post(Event::ready);
        },
        [&] { events.post(Event::unmounted); });
    events.run(*session, keeper, warmer, request.idle_timeout);
    session->join();
    if (opened.record)
        if (const auto written = opened.record->write(
                recorder.finish(*opened.file_system, session->counters()));
            !written)
            log::error("the trace is lost: {}", written.error().message());
    keeper.dismiss();
    return {};
}

Status start_log(const MountRequest& request) {
    std::string destination = request.log_destination;
    if (destination.empty())
        destination = request.is_foreground || request.trace ? "stderr" : "syslog";
    return log::start(destination, request.log_level);
}

Status serve_in_background(const MountRequest& request, Opened opened, Notifier& notifier) {
    SQUENV_TRY_ASSIGN(auto background, Background::start());
    if (!background.is_daemon()) {
        // The parent's copy of the connection must go, or a daemon that dies goes unnoticed.
        opened.device.device.reset();
        auto status = background.wait_until_ready();
        if (!status) (void)unmount(opened.mountpoint, UnmountMode::lazy);
        return status;
    }
    Status status = start_log(request);
    if (status)
        status = run(request, std::move(opened), [&] {
            notifier.tell(true);
            background.report_ready();
        });
    if (!status) background.report_failure(status.error());
    log::stop();
    std::_Exit(status ? 0 : 1);
}

}  // namespace

Status serve(const MountRequest& request) {
    guard_standard_fds();
    SQUENV_TRY_ASSIGN(auto notifier, Notifier::start(request.notify_pipe));
    auto opened = open_and_mount(request);
    Status status;
    if (!opened) {
        status = tl::unexpected(opened.error());
    } else if (request.is_foreground || request.trace) {
        const std::string mountpoint = opened->mountpoint;
        status = start_log(request);
        if (status) status = run(request, std::move(*opened), [&] { notifier.tell(true); });
        if (!status) (void)unmount(mountpoint, UnmountMode::lazy);
        log::stop();
    } else {
        status = serve_in_background(request, std::move(*opened), notifier);
    }
    if (!status) notifier.tell(false);
    return status;
}

}  // namespace squenv::mount
