// SPDX-License-Identifier: MIT
// The file operations of a program without the program: what a benchmark of a file system times.
//   workload replay ROOT LIST    operations of a recorded import, one "OP path" a line:
//                                S stat, O open and read whole, D list, M map and touch
//   workload read ROOT LIST N    reads every file of LIST, shared out among N processes
//   workload sequential FILE     reads one file from end to end
// Prints the seconds it took and the operations and bytes it saw.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kBufferSize = 1 << 20, kTouchStep = 64 << 10, kMaxPath = 8192 };

static char buffer[kBufferSize];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t read_file(const char* path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    struct stat info;
    fstat(fd, &info);
    uint64_t bytes = 0;
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) bytes += (uint64_t)got;
    close(fd);
    return bytes;
}

static uint64_t list_directory(const char* path) {
    DIR* directory = opendir(path);
    if (directory == NULL) return 0;
    uint64_t entries = 0;
    while (readdir(directory) != NULL) ++entries;
    closedir(directory);
    return entries;
}

static uint64_t map_file(const char* path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    struct stat info;
    fstat(fd, &info);
    volatile char sink = 0;
    char* bytes = info.st_size == 0 ? MAP_FAILED
                                    : mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes != MAP_FAILED) {
        for (off_t offset = 0; offset < info.st_size; offset += kTouchStep) sink = bytes[offset];
        munmap(bytes, (size_t)info.st_size);
    }
    (void)sink;
    close(fd);
    return (uint64_t)info.st_size;
}

static char** load_lines(const char* path, size_t* count) {
    FILE* file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    char** lines = NULL;
    size_t room = 0;
    char line[kMaxPath];
    *count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (*count == room) lines = realloc(lines, (room = room * 2 + 1024) * sizeof *lines);
        lines[(*count)++] = strdup(line);
    }
    fclose(file);
    return lines;
}

static uint64_t replay(const char* root, char** lines, size_t count) {
    uint64_t seen = 0;
    char path[2 * kMaxPath];
    struct stat info;
    for (size_t i = 0; i < count; ++i) {
        snprintf(path, sizeof path, "%s/%s", root, lines[i] + 2);
        switch (lines[i][0]) {
            case 'S': seen += stat(path, &info) == 0; break;
            case 'O': seen += read_file(path); break;
            case 'D': seen += list_directory(path); break;
            case 'M': seen += map_file(path); break;
            default: break;
        }
    }
    return seen;
}

static void read_share(const char* root, char** lines, size_t count, size_t first, size_t step) {
    char path[2 * kMaxPath];
    for (size_t i = first; i < count; i += step) {
        snprintf(path, sizeof path, "%s/%s", root, lines[i]);
        read_file(path);
    }
}

static int read_all(const char* root, char** lines, size_t count, size_t readers) {
    for (size_t reader = 0; reader < readers; ++reader) {
        const pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            read_share(root, lines, count, reader, readers);
            _exit(0);
        }
    }
    int failed = 0;
    for (int status; wait(&status) > 0;) failed |= status;
    return failed != 0;
}

int main(int argc, char** argv) {
    int failed = 0;
    uint64_t seen = 0;
    size_t count = 0;
    double start = 0;
    if (argc == 4 && strcmp(argv[1], "replay") == 0) {
        char** lines = load_lines(argv[3], &count);
        start = now();
        seen = replay(argv[2], lines, count);
    } else if (argc == 5 && strcmp(argv[1], "read") == 0) {
        char** lines = load_lines(argv[3], &count);
        start = now();
        failed = read_all(argv[2], lines, count, strtoul(argv[4], NULL, 10));
    } else if (argc == 3 && strcmp(argv[1], "sequential") == 0) {
        start = now();
        seen = read_file(argv[2]);
        failed = seen == 0;
    } else {
        fprintf(stderr, "usage: workload replay ROOT LIST | read ROOT LIST N | sequential FILE\n");
        return 2;
    }
    printf("%.6f %zu %llu\n", now() - start, count, (unsigned long long)seen);
    return failed;
}
