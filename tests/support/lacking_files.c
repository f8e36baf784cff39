/* SPDX-License-Identifier: MIT
 * Preloaded into a program, takes something from its file system, or ends it in the middle of a
 * change:
 *   NO_LINKS     set: no hard links
 *   NO_EXCHANGE  set: a rename cannot exchange files, nor refuse to replace one
 *   NO_LOCKS     set: no locks
 *   KILL_AT=N    SIGKILL just before the N-th call that changes a directory or access rights, or writes,
 *                from 1 on
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int count;

static void count_call(void) {
    const char* text = getenv("KILL_AT");
    if (text != NULL && atomic_fetch_add(&count, 1) + 1 == atoi(text)) kill(getpid(), SIGKILL);
}

static int lacks(const char* what, int error) {
    if (getenv(what) == NULL) return 0;
    errno = error;
    return 1;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

int link(const char* from, const char* to) {
    typedef int (*call)(const char*, const char*);
    count_call();
    return lacks("NO_LINKS", EPERM) ? -1 : NEXT(call, "link")(from, to);
}

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
    typedef int (*call)(int, const char*, int, const char*, int);
    count_call();
    return lacks("NO_LINKS", EPERM) ? -1 : NEXT(call, "linkat")(from_fd, from, to_fd, to, flags);
}

int rename(const char* from, const char* to) {
    typedef int (*call)(const char*, const char*);
    count_call();
    return NEXT(call, "rename")(from, to);
}

int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
    typedef int (*call)(int, const char*, int, const char*, unsigned);
    count_call();
    if (flags != 0 && lacks("NO_EXCHANGE", EINVAL)) return -1;
    return NEXT(call, "renameat2")(from_fd, from, to_fd, to, flags);
}

int unlink(const char* path) {
    typedef int (*call)(const char*);
    count_call();
    return NEXT(call, "unlink")(path);
}

int mkdir(const char* path, mode_t mode) {
    typedef int (*call)(const char*, mode_t);
    count_call();
    return NEXT(call, "mkdir")(path, mode);
}

int chmod(const char* path, mode_t mode) {
    typedef int (*call)(const char*, mode_t);
    count_call();
    return NEXT(call, "chmod")(path, mode);
}

int fchmod(int fd, mode_t mode) {
    typedef int (*call)(int, mode_t);
    count_call();
    return NEXT(call, "fchmod")(fd, mode);
}

ssize_t write(int fd, const void* bytes, size_t size) {
    typedef ssize_t (*call)(int, const void*, size_t);
    count_call();
    return NEXT(call, "write")(fd, bytes, size);
}

ssize_t copy_file_range(int from, off64_t* at, int to, off64_t* to_at, size_t size,
                        unsigned flags) {
    typedef ssize_t (*call)(int, off64_t*, int, off64_t*, size_t, unsigned);
    count_call();
    return NEXT(call, "copy_file_range")(from, at, to, to_at, size, flags);
}

int flock(int fd, int operation) {
    typedef int (*call)(int, int);
    return lacks("NO_LOCKS", ENOSYS) ? -1 : NEXT(call, "flock")(fd, operation);
}
