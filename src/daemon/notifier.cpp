// SPDX-License-Identifier: MIT
#include "daemon/notifier.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "system/child_process.h"

namespace squenv::daemon {

namespace {

/// Seconds that a script has to open its pipe.
constexpr unsigned kNotifyPatience = 60;

/// Opening a fifo waits for its reader, and the sandboxed daemon may open nothing: a process of its
/// own does it. Receives one byte, or none when the mounting process died.
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
    SQUENV_TRY_ASSIGN(auto socket, system::fork_detached([&path](int theirs) {
                          deliver_notice(theirs, path.c_str());
                      }));
    return Notifier(std::move(socket));
}

void Notifier::tell(bool is_mounted) {
    if (writer_) (void)!::write(writer_.get(), is_mounted ? "s" : "f", 1);
    writer_.reset();
}

}  // namespace squenv::daemon
