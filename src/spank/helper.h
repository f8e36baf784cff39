// SPDX-License-Identifier: MIT
// Asks squenv-slurm, which is the program squenv under another name. It does all work with images.
//
// Its answer on the socket is a list of texts, each with a null byte after it, and one more null
// byte. The first text has a letter for each descriptor that comes with it: "u" the user namespace,
// "m" the mount namespace, "r" the root directory in it, "k" one to keep open. The others are
// variables: "NAME=VALUE" is to be set, "NAME" to be removed.
#pragma once

#include <stddef.h>

#pragma GCC visibility push(hidden)

enum { SQUENV_MAX_DESCRIPTORS = 64 };

struct squenv_answer {
    int user_namespace;  ///< -1 without
    int mount_namespace;
    int root;
    int kept[SQUENV_MAX_DESCRIPTORS];
    size_t kept_count;
    char* text;  ///< malloc'ed
    size_t size;
};

/// Runs `program` with `words`, which say "--socket 3", and waits for its end. Returns 0 when
/// `answer` is set. Otherwise the exit status for the caller. The user then has a message: from the
/// program on standard error, or from here by slurm_error().
int squenv_ask(const char* program, char* const words[], char* const variables[],
               struct squenv_answer* answer);

/// The variable after `previous`, or the first one for NULL. NULL at the end.
const char* squenv_next_variable(const struct squenv_answer* answer, const char* previous);

#pragma GCC visibility pop
