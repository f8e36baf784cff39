// SPDX-License-Identifier: MIT
#include "system/background.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "system/child_process.h"

namespace squenv::system {

namespace {

/// The daemon's message to its parent: the outcome, then the text of the error.
struct Word {
    bool is_ready = false;
    Errc code = Errc::internal;
    int sys_errno = 0;
    std::array<char, 1024> context{};
};

}  // namespace

Result<Background> Background::start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    SQUENV_TRY_ASSIGN(auto null, open_file("/dev/null", O_RDWR));
    const pid_t child = ::fork();
    if (child < 0) return fail_errno(errno, "fork");
    if (child != 0) {
        // A double fork: the daemon is no child of a program that this process may become.
        reap(child);
        return Background(false, std::move(reader), {});
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
    Word word;
    ssize_t got = 0;
    do {
        got = ::read(pipe_.get(), &word, sizeof word);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof word))
        return fail(Errc::internal, "the daemon died while it started", "look into the log");
    if (word.is_ready) return {};
    return tl::unexpected(Error{word.code, word.sys_errno, word.context.data(), {}});
}

void Background::report_ready() {
    if (!pipe_) return;
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null_.get(), fd);
    null_.reset();
    Word word;
    word.is_ready = true;
    (void)!::write(pipe_.get(), &word, sizeof word);
    pipe_.reset();
}

void Background::report_failure(const Error& error) {
    if (!pipe_) return;
    Word word;
    word.code = error.code;
    word.sys_errno = error.sys_errno;
    const std::string text = error.hint.empty() ? error.context : error.context + "; " + error.hint;
    text.copy(word.context.data(), word.context.size() - 1);
    (void)!::write(pipe_.get(), &word, sizeof word);
    pipe_.reset();
}

}  // namespace squenv::system
