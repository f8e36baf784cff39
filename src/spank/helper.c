// SPDX-License-Identifier: MIT
#include "spank/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <slurm/spank.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/// Far above what the variables of a process can have.
enum { MAX_ANSWER = 8 << 20, READ_SIZE = 16 << 10, SOCKET = 3 };

/// As env(1) fails.
enum { OWN_FAILURE = 125 };

static int start(pid_t* child, const char* program, char* const words[], char* const variables[],
                 int socket) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t usual;
    // The daemons of Slurm ignore and block signals for themselves.
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGCHLD);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, socket, SOCKET);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    const int code = posix_spawn(child, program, &files, &attributes, words, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

/// Descriptors as they come with one message.
struct received {
    int descriptors[SQUENV_MAX_DESCRIPTORS];
    size_t count;
};

static void take_descriptors(struct msghdr* header, struct received* received) {
    for (struct cmsghdr* part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const size_t bytes = part->cmsg_len - CMSG_LEN(0);
        for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int descriptor = -1;
            memcpy(&descriptor, CMSG_DATA(part) + at, sizeof descriptor);
            if (received->count < SQUENV_MAX_DESCRIPTORS)
                received->descriptors[received->count++] = descriptor;
            else
                close(descriptor);
        }
    }
}

static bool is_complete(const struct squenv_answer* answer) {
    return answer->size >= 2 && answer->text[answer->size - 1] == '\0' &&
           answer->text[answer->size - 2] == '\0';
}

/// Reads until the answer is complete; false when it does not become so.
static bool receive(int socket, struct squenv_answer* answer, struct received* received) {
    while (!is_complete(answer)) {
        char* text = realloc(answer->text, answer->size + READ_SIZE);
        if (text == NULL || answer->size > MAX_ANSWER) return false;
        answer->text = text;
        union {
            struct cmsghdr alignment;
            char bytes[CMSG_SPACE(SQUENV_MAX_DESCRIPTORS * sizeof(int))];
        } control;
        struct iovec data = {text + answer->size, READ_SIZE};
        struct msghdr header = {.msg_iov = &data,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof control.bytes};
        const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        take_descriptors(&header, received);
        answer->size += (size_t)got;
    }
    return true;
}

/// Gives the descriptors their meaning; false when they are not those of the letters.
static bool name_descriptors(struct squenv_answer* answer, const struct received* received) {
    if (strlen(answer->text) != received->count) return false;
    for (size_t i = 0; i < received->count; ++i) {
        const int descriptor = received->descriptors[i];
        switch (answer->text[i]) {
            case 'u': answer->user_namespace = descriptor; break;
            case 'm': answer->mount_namespace = descriptor; break;
            case 'r': answer->root = descriptor; break;
            case 'k': answer->kept[answer->kept_count++] = descriptor; break;
            default: return false;
        }
    }
    return true;
}

/// Waits for the program. Returns its exit status, or 0 where another part of the process has
/// waited for it.
static int end_of(pid_t child, const char* program) {
    int status = 0;
    pid_t ended = -1;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0 || WIFEXITED(status)) return ended < 0 ? 0 : WEXITSTATUS(status);
    slurm_error("squenv: %s: ended by signal %d", program, WTERMSIG(status));
    return OWN_FAILURE;
}

int squenv_ask(const char* program, char* const words[], char* const variables[],
               struct squenv_answer* answer) {
    *answer = (struct squenv_answer){.user_namespace = -1, .mount_namespace = -1, .root = -1};
    struct received received = {.count = 0};
    int ends[2];
    pid_t child = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        slurm_error("squenv: socketpair: %s", strerror(errno));
        return OWN_FAILURE;
    }
    const int code = start(&child, program, words, variables, ends[1]);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        slurm_error("squenv: %s: %s; name the program by program=PATH in plugstack.conf", program,
                    strerror(code));
        return OWN_FAILURE;
    }
    const bool is_answered =
        receive(ends[0], answer, &received) && name_descriptors(answer, &received);
    close(ends[0]);
    const int status = end_of(child, program);
    if (status != 0 || is_answered) return status;
    slurm_error("squenv: %s: gave no answer; it has to be of the version of this plugin", program);
    return OWN_FAILURE;
}

const char* squenv_next_variable(const struct squenv_answer* answer, const char* previous) {
    const char* last = previous == NULL ? answer->text : previous;
    const char* next = last + strlen(last) + 1;
    return *next == '\0' ? NULL : next;
}
