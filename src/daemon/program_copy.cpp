// SPDX-License-Identifier: MIT
#include "daemon/program_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "system/mount_table.h"

// Of Linux 6.3.
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace squenv::daemon {

namespace {

constexpr const char* kObject = "a copy of the program, which lies in another mount namespace";
constexpr const char* kOwnNamespace = "call 'squenv upgrade' outside of this mount namespace";

/// What cannot be found out counts as own: most programs are.
bool is_of_own_namespace(int program) {
    const auto id = system::mount_id_of(program);
    const auto entries = system::read_mount_table();
    return !id || !entries || std::any_of(entries->begin(), entries->end(), [&](const auto& entry) {
        return entry.mount_id == *id;
    });
}

std::string path_of(const UniqueFd& file) {
    return "/proc/self/fd/" + std::to_string(file.get());
}

UniqueFd make_memory() {
    constexpr const char* kName = "squenv";
    UniqueFd memory(::memfd_create(kName, MFD_CLOEXEC | MFD_EXEC));
    // Before Linux 6.3 the flag is unknown, and every such file can be executed.
    if (!memory && errno == EINVAL) memory = UniqueFd(::memfd_create(kName, MFD_CLOEXEC));
    return memory;
}

}  // namespace

Result<UniqueFd> without_foreign_mount(UniqueFd program) {
    if (is_of_own_namespace(program.get())) return program;
    struct stat info {};
    if (::fstat(program.get(), &info) != 0) return fail_errno(errno, kObject);
    if (!S_ISREG(info.st_mode)) return fail_errno(EACCES, kObject, "it is no regular file");
    const auto source = open_file(path_of(program), O_RDONLY);
    if (!source) return fail_errno(source.error().sys_errno, kObject, kOwnNamespace);
    const UniqueFd memory = make_memory();
    if (!memory) return fail_errno(errno, kObject, kOwnNamespace);
    for (off_t done = 0; done < info.st_size;) {
        const auto left = static_cast<std::size_t>(info.st_size - done);
        const ssize_t sent = ::sendfile(memory.get(), source->get(), nullptr, left);
        if (sent <= 0) return fail_errno(sent < 0 ? errno : EIO, kObject, kOwnNamespace);
        done += sent;
    }
    // A file that is open for writing cannot be executed.
    return open_file(path_of(memory), O_RDONLY);
}

}  // namespace squenv::daemon
