// SPDX-License-Identifier: MIT
#include "mount/notifier.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

Result<Notifier> Notifier::start(const std::string& path) {
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

void Notifier::tell(bool is_mounted) {
    if (writer_) (void)!::write(writer_.get(), is_mounted ? "s" : "f", 1);
    writer_.reset();
}

}  // namespace squenv::mount
