/* SPDX-License-Identifier: MIT
 * Preloaded into a program, answers as some file systems do:
 *   HOLE_AT=N      lseek(2) says from the N-th SEEK_DATA on, counted from 1, that no data follows
 *   NEW_NUMBERS=1  fstat(2) gives regular files other inode numbers than stat(2) by name
 * Thread-safe: the count is atomic.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int count;

static off64_t seek(const char *name, int fd, off64_t offset, int whence) {
    off64_t (*real)(int, off64_t, int) = (off64_t(*)(int, off64_t, int))dlsym(RTLD_NEXT, name);
    const char *at = getenv("HOLE_AT");
    if (whence == SEEK_DATA && at != NULL && atomic_fetch_add(&count, 1) + 1 >= atoi(at)) {
        errno = ENXIO;
        return -1;
    }
    return real(fd, offset, whence);
}

off64_t lseek64(int fd, off64_t offset, int whence) {
    return seek("lseek64", fd, offset, whence);
}

off_t lseek(int fd, off_t offset, int whence) { return seek("lseek", fd, offset, whence); }

/* struct stat and struct stat64 are the same where off_t has 64 bits. */
static int look(const char *name, int fd, struct stat64 *info) {
    int (*real)(int, struct stat64 *) = (int (*)(int, struct stat64 *))dlsym(RTLD_NEXT, name);
    const int result = real(fd, info);
    if (result == 0 && S_ISREG(info->st_mode) && getenv("NEW_NUMBERS") != NULL) info->st_ino += 7;
    return result;
}

int fstat64(int fd, struct stat64 *info) { return look("fstat64", fd, info); }

int fstat(int fd, struct stat *info) { return look("fstat", fd, (struct stat64 *)info); }
