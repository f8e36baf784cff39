// SPDX-License-Identifier: MIT
#include "spank/enter.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Above the numbers that shells and scripts use.
enum { FIRST_KEPT = 200 };

/// The kernel refuses to let a process join its own user namespace.
static bool is_other_user_namespace(int descriptor) {
    struct stat theirs;
    struct stat ours;
    return fstat(descriptor, &theirs) != 0 || stat("/proc/self/ns/user", &ours) != 0 ||
           theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino;
}

/// The bounding set too: a user whose uid is 0 would gain everything back by exec.
static bool drop_capabilities(void) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int one = 0; prctl(PR_CAPBSET_READ, one, 0, 0, 0) >= 0; ++one)
        prctl(PR_CAPBSET_DROP, one, 0, 0, 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    return syscall(SYS_capset, &header, none) == 0;
}

static const char* join_namespaces(const struct squenv_answer* answer) {
    if (answer->mount_namespace < 0) return NULL;
    const bool has_other_user = is_other_user_namespace(answer->user_namespace);
    if (has_other_user && setns(answer->user_namespace, CLONE_NEWUSER) != 0)
        return "joining the user namespace";
    if (setns(answer->mount_namespace, CLONE_NEWNS) != 0) return "joining the mount namespace";
    if (answer->root >= 0 && (fchdir(answer->root) != 0 || chroot(".") != 0))
        return "the root directory in the mount namespace";
    // Without another user namespace the capabilities are the task's own.
    if (has_other_user && !drop_capabilities()) return "giving up capabilities";
    return NULL;
}

/// A copy with a high number, which exec does not close.
static bool keep(int descriptor) {
    int kept = fcntl(descriptor, F_DUPFD, FIRST_KEPT);
    if (kept < 0) kept = fcntl(descriptor, F_DUPFD, 3);
    return kept >= 0;
}

const char* squenv_enter(const struct squenv_answer* answer) {
    char directory[PATH_MAX];
    const bool has_directory = getcwd(directory, sizeof directory) != NULL && directory[0] == '/';
    const int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char* failed = join_namespaces(answer);
    // The path leads to what is mounted there now, the descriptor to what the mount covers.
    if (failed == NULL && !(has_directory && chdir(directory) == 0) && here >= 0) {
        const int back = fchdir(here);
        (void)back;  // it ends in "/" where it may not enter the directory
    }
    if (here >= 0) close(here);
    for (size_t i = 0; failed == NULL && i < answer->kept_count; ++i)
        if (!keep(answer->kept[i])) failed = "keeping a connection open";
    return failed;
}
