// SPDX-License-Identifier: MIT
#include "system/background.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/process_limits.h"
#include "base/remote_error.h"
#include "system/child_process.h"

namespace squenv::system {

namespace {

/// The daemon's message to its parent, unless that is an error.
constexpr std::string_view kReady = "ready";

}  // namespace

Result<Background> Background::start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    SQUENV_TRY_ASSIGN(auto null, open_file("/dev/null", O_RDWR));
    const std::uint64_t kills_before = memory_kills();
    const pid_t child = ::fork();
    if (child < 0) return fail_fork(errno);
    if (child != 0) {
        // A double fork: the daemon is no child of a program that this process may become.
        reap(child);
        Background parent(false, std::move(reader), {});
        parent.kills_before_ = kills_before;
        return parent;
    }
    reader.reset();
    ::setsid();
    const pid_t daemon = ::fork();
    if (daemon != 0) ::_exit(daemon < 0 ? 1 : 0);
    // A relative path must not keep a directory busy for as long as the mount lives.
    if (::chdir("/") != 0) ::_exit(1);
    return Background(true, std::move(writer), std::move(null));
}

Status Background::wait_until_ready() {
    std::array<char, kMaxRemoteError> buffer;
    ssize_t got = 0;
    do {
        got = ::read(pipe_.get(), buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
    const std::string_view word(buffer.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
    if (word == kReady) return {};
    if (auto error = decode_error(word)) return tl::unexpected(explained(std::move(*error)));
    Error death{Errc::internal, 0, "the daemon died while it started", "look into the log"};
    if (const std::string limit = address_space_limit(); !limit.empty())
        death.hint = "it may have lacked memory: " + limit + "; or " + death.hint;
    return tl::unexpected(explained(std::move(death)));
}

Error Background::explained(Error error) const {
    if (is_short_of_memory(error) || memory_kills() == kills_before_) return error;
    return {Errc::limit, 0,
            error.context + "; the kernel killed a process for want of memory meanwhile",
            "raise the memory limit of the job or container"};
}

void Background::report_ready() {
    if (!pipe_) return;
    close_terminal();
    (void)!::write(pipe_.get(), kReady.data(), kReady.size());
    pipe_.reset();
}

void Background::close_terminal() {
    if (!null_) return;
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null_.get(), fd);
    null_.reset();
}

void Background::report_failure(const Error& error) {
    if (!pipe_) return;
    const std::string word = encode_error(error);
    (void)!::write(pipe_.get(), word.data(), word.size());
    pipe_.reset();
}

}  // namespace squenv::system
