/* SPDX-License-Identifier: MIT
 * Preloaded into a program, makes one of the calls fail by which it writes, syncs or names files:
 *   FAIL_AT=N    the N-th such call of the process, counted from 1
 *   FAIL_MODE    once: that call alone; rest: that one and all after it; short: that call writes
 *                half of what it should, all after it fail
 *   FAIL_ERRNO   the error, as a number
 *   FAIL_LOG     a file that gets the name of the first call that failed
 *   NO_TMPFILE   set: no file system has files without names, as some network file systems
 * Calls on pipes, terminals and files open for reading do not count, nor does closing a file that
 * has no name. Thread-safe: the count is atomic.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int count;

static int number(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? atoi(text) : 0;
}

/* Past the interposed functions. */
static void log_call(const char *name) {
    const char *path = getenv("FAIL_LOG");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path,
                                         O_WRONLY | O_CREAT | O_APPEND, 0644)
                          : -1;
    if (fd < 0) return;
    syscall(SYS_write, fd, name, strlen(name));
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_close, fd);
}

enum fate { succeeds, is_short, fails };

static enum fate fate_of(const char *name) {
    const char *mode = getenv("FAIL_MODE");
    const int at = number("FAIL_AT");
    const int call = atomic_fetch_add(&count, 1) + 1;
    if (at == 0 || mode == NULL || call < at) return succeeds;
    if (call > at) {
        if (strcmp(mode, "once") == 0) return succeeds;
    } else {
        log_call(name);
        if (strcmp(mode, "short") == 0) return is_short;
    }
    errno = number("FAIL_ERRNO");
    return fails;
}

static int counts(int fd, int named_only) {
    struct stat info;
    const int kept = errno;
    const int flags = fcntl(fd, F_GETFL);
    const int is_file = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY &&
                        fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                        (!named_only || info.st_nlink > 0);
    errno = kept;
    return is_file;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

typedef int (*open_call)(const char *, int, ...);
#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        const int is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;      \
        const int has_mode = is_unnamed || (flags & O_CREAT) != 0;    \
        const mode_t mode = has_mode ? va_arg(rest, mode_t) : 0;      \
        va_end(rest);                                                 \
        if (is_unnamed && getenv("NO_TMPFILE") != NULL)               \
            return errno = EOPNOTSUPP, -1;                            \
        return NEXT(open_call, #name)(path, flags, mode);             \
    }
OPEN(open)
OPEN(open64)

typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
#define PWRITE(name)                                                                   \
    ssize_t name(int fd, const void *bytes, size_t size, off_t position) {             \
        enum fate fate = counts(fd, 0) ? fate_of("pwrite") : succeeds;                 \
        if (fate == fails) return -1;                                                  \
        if (fate == is_short && size > 1) size /= 2;                                   \
        return NEXT(pwrite_call, #name)(fd, bytes, size, position);                    \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

typedef ssize_t (*write_call)(int, const void *, size_t);
ssize_t write(int fd, const void *bytes, size_t size) {
    enum fate fate = counts(fd, 0) ? fate_of("write") : succeeds;
    if (fate == fails) return -1;
    if (fate == is_short && size > 1) size /= 2;
    return NEXT(write_call, "write")(fd, bytes, size);
}

/* What cannot be done by halves fails at once. */
#define WHOLE(condition, label) \
    if ((condition) && fate_of(label) != succeeds) return errno = number("FAIL_ERRNO"), -1

typedef int (*truncate_call)(int, off_t);
#define FTRUNCATE(name)                                       \
    int name(int fd, off_t size) {                            \
        WHOLE(counts(fd, 0), "ftruncate");                    \
        return NEXT(truncate_call, #name)(fd, size);          \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

typedef int (*allocate_call)(int, int, off_t, off_t);
#define FALLOCATE(name)                                                \
    int name(int fd, int mode, off_t position, off_t size) {           \
        WHOLE(counts(fd, 0), "fallocate");                             \
        return NEXT(allocate_call, #name)(fd, mode, position, size);   \
    }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

typedef int (*sync_call)(int);
#define SYNC(name)                                                        \
    int name(int fd) {                                                    \
        WHOLE(1, counts(fd, 0) ? "fsync" : "fsync of a directory");       \
        return NEXT(sync_call, #name)(fd);                                \
    }
SYNC(fsync)
SYNC(fdatasync)

int close(int fd) {
    if (counts(fd, 1) && fate_of("close") != succeeds) {
        NEXT(sync_call, "close")(fd);
        errno = number("FAIL_ERRNO");
        return -1;
    }
    return NEXT(sync_call, "close")(fd);
}

typedef int (*rename_call)(const char *, const char *);
int rename(const char *from, const char *to) {
    WHOLE(1, "rename");
    return NEXT(rename_call, "rename")(from, to);
}
int link(const char *from, const char *to) {
    WHOLE(1, "link");
    return NEXT(rename_call, "link")(from, to);
}

typedef int (*linkat_call)(int, const char *, int, const char *, int);
int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    WHOLE(1, "linkat");
    return NEXT(linkat_call, "linkat")(from_directory, from, to_directory, to, flags);
}

typedef int (*renameat2_call)(int, const char *, int, const char *, unsigned);
int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned flags) {
    WHOLE(1, "renameat2");
    return NEXT(renameat2_call, "renameat2")(from_directory, from, to_directory, to, flags);
}
