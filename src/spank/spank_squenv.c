// SPDX-License-Identifier: MIT
// The plugin for Slurm: options of srun, sbatch and salloc that give tasks their images. On the
// submit host it checks the images before a job queues, and writes what was asked for into the
// environment of the job. On the node each task has it done before its program starts. All work is
// that of squenv, run as the user. Nothing is done as root, and nothing has to be cleaned up.
#include <errno.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spank/enter.h"
#include "spank/helper.h"

SPANK_PLUGIN(squenv, 1)

/// What a task finds in its environment, and what an srun in a job reads again.
#define IMAGES "SLURM_SQUENV"
#define VIEWS "SLURM_SQUENV_VIEW"
#define ACTIVATE "SLURM_SQUENV_ACTIVATE"
/// Written by the program: the names of labels.
#define NAMES "SLURM_SQUENV_NAMES"
/// The value for no images, where the environment asks for some.
#define NO_IMAGES "none"

/// SLURM_EXTERN_CONT of slurm.h: a step without a program of the user.
#define EXTERN_STEP 0xfffffffcU
enum { MAX_WORDS = 24 };

/// The words of the line in plugstack.conf.
static struct {
    const char* program;
    const char* via;
} settings = {SQUENV_PROGRAM, NULL};

struct request {
    const char* images;
    const char* views;
    const char* activate;
};

/// As the options say.
static struct request given;

enum option_number { IMAGES_OPTION, VIEWS_OPTION, ACTIVATE_OPTION };

static bool is_activation(const char* value) {
    return strcmp(value, "auto") == 0 || strcmp(value, "none") == 0;
}

/// The options may come twice, first from the environment. The last one counts.
static int take_option(int number, const char* value, int is_remote) {
    if (is_remote) return ESPANK_SUCCESS;  // the environment of the job has it
    if (value == NULL || *value == '\0') {
        slurm_error("squenv: an option without a value");
        return -1;
    }
    if (number == ACTIVATE_OPTION && !is_activation(value)) {
        slurm_error("squenv: --squenv-activate=%s: write auto or none", value);
        return -1;
    }
    char* copy = strdup(value);
    if (copy == NULL) return -1;
    switch ((enum option_number)number) {
        case IMAGES_OPTION: given.images = copy; break;
        case VIEWS_OPTION: given.views = copy; break;
        case ACTIVATE_OPTION: given.activate = copy; break;
    }
    return ESPANK_SUCCESS;
}

static struct spank_option options[] = {
    {"squenv", "IMAGE[:PATH][,...]",
     "run the tasks with these squashfs images mounted; 'none' for none", 1, IMAGES_OPTION,
     take_option},
    {"squenv-view", "VIEW[,...]", "views of the images of --squenv", 1, VIEWS_OPTION, take_option},
    {"squenv-activate", "auto|none", "activate the environments of --squenv (auto), or only mount",
     1, ACTIVATE_OPTION, take_option},
};

static int read_settings(int count, char* words[]) {
    for (int i = 0; i < count; ++i) {
        if (strncmp(words[i], "program=", 8) == 0) {
            settings.program = words[i] + 8;
        } else if (strncmp(words[i], "via=", 4) == 0) {
            settings.via = words[i] + 4;
        } else {
            slurm_error("squenv: plugstack.conf: '%s': not program=PATH or via=METHOD", words[i]);
            return -1;
        }
    }
    return ESPANK_SUCCESS;
}

/// Slurm repeats the options of sbatch and salloc to each srun in the job, as they were written: an
/// image may have been named relative to another directory. The variables have the same request.
static void forget_inherited_options(void) {
    if (getenv(IMAGES) == NULL) return;
    for (char** one = environ; *one != NULL;) {
        char* equals = strchr(*one, '=');
        char* name = equals == NULL ? NULL : strndup(*one, (size_t)(equals - *one));
        // "SLURM_SPANK_" may be in front of that.
        if (name != NULL && strstr(name, "_SLURM_SPANK_OPTION_squenv_") != NULL)
            unsetenv(name);  // the next one takes its place
        else
            ++one;
        free(name);
    }
}

int slurm_spank_init(spank_t spank, int count, char* words[]) {
    const spank_context_t context = spank_context();
    if (context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR) forget_inherited_options();
    if (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE)
        return ESPANK_SUCCESS;
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i)
        if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS) return -1;
    return read_settings(count, words);
}

/// The arguments of the program.
struct words {
    char* all[MAX_WORDS];
    size_t count;
};

static void add(struct words* words, const char* word) {
    if (words->count + 1 < MAX_WORDS) words->all[words->count++] = (char*)word;
}

/// Adds "NAME=VALUE"; nothing without a value.
static void add_option(struct words* words, const char* name, const char* value) {
    char* word = NULL;
    if (value != NULL && *value != '\0' && asprintf(&word, "%s=%s", name, value) >= 0)
        add(words, word);
}

static void add_request(struct words* words, const struct request* request) {
    add_option(words, "--via", settings.via);
    add_option(words, "--view", request->views);
    if (request->activate != NULL && strcmp(request->activate, "none") == 0)
        add(words, "--no-activate");
    add(words, "--");
    add(words, request->images);
}

// On the submit host

/// The value of PREFIX and NAME in the environment, NULL when that is empty.
static const char* variable(const char* prefix, const char* name) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const char* value = getenv(full);
    return value == NULL || *value == '\0' ? NULL : value;
}

static const char* prefix_of_client(void) {
    if (strcmp(program_invocation_short_name, "sbatch") == 0) return "SBATCH_";
    if (strcmp(program_invocation_short_name, "salloc") == 0) return "SALLOC_";
    return "SLURM_";
}

/// The options, or else the variables of this client, or else those that a job has. Views and
/// activation belong to the images they were named with.
static struct request wanted_here(void) {
    struct request wanted = given;
    const char* const prefixes[] = {prefix_of_client(), "SLURM_"};
    for (size_t i = 0; i < 2 && wanted.images == NULL; ++i) {
        wanted.images = variable(prefixes[i], "SQUENV");
        if (wanted.images == NULL) continue;
        if (wanted.views == NULL) wanted.views = variable(prefixes[i], "SQUENV_VIEW");
        if (wanted.activate == NULL) wanted.activate = variable(prefixes[i], "SQUENV_ACTIVATE");
    }
    return wanted;
}

static void set_or_remove(const char* name, const char* value) {
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/// An optional plugin cannot refuse a job by its return value. Nothing is allocated yet.
static void refuse_job(void) {
    exit(1);
}

static void check_request(const struct request* wanted) {
    if (wanted->activate != NULL && !is_activation(wanted->activate)) {
        slurm_error("squenv: activation '%s': write auto or none", wanted->activate);
        refuse_job();
    }
    struct words words = {.count = 0};
    for (const char* const* word = (const char* const[]){"squenv-slurm", "--socket", "3", NULL};
         *word != NULL; ++word)
        add(&words, *word);
    add_request(&words, wanted);
    struct squenv_answer answer;
    if (squenv_ask(settings.program, words.all, environ, &answer) != 0) refuse_job();
    for (const char* one = squenv_next_variable(&answer, NULL); one != NULL;
         one = squenv_next_variable(&answer, one))
        putenv(strdup(one));
    set_or_remove(VIEWS, wanted->views);
    set_or_remove(ACTIVATE, wanted->activate);
}

int slurm_spank_init_post_opt(spank_t spank, int count, char* words[]) {
    (void)count;
    (void)words;
    if (spank_remote(spank) != 0) return ESPANK_SUCCESS;
    const struct request wanted = wanted_here();
    if (wanted.images == NULL) {
        if (wanted.views == NULL && wanted.activate == NULL) return ESPANK_SUCCESS;
        slurm_error("squenv: %s: of no image; add --squenv=IMAGE",
                    wanted.views != NULL ? "--squenv-view" : "--squenv-activate");
        refuse_job();
    }
    if (strcmp(wanted.images, NO_IMAGES) != 0) {
        check_request(&wanted);
    } else {
        unsetenv(IMAGES);
        unsetenv(VIEWS);
        unsetenv(ACTIVATE);
        unsetenv(NAMES);
    }
    return ESPANK_SUCCESS;
}

// On the node

static const char* value_in(char* const variables[], const char* name) {
    const size_t length = strlen(name);
    for (char* const* one = variables; *one != NULL; ++one)
        if (strncmp(*one, name, length) == 0 && (*one)[length] == '=')
            return (*one)[length + 1] == '\0' ? NULL : *one + length + 1;
    return NULL;
}

/// Only the first task of a node says what the user should know.
static void add_task(struct words* words, spank_t spank) {
    char number[32];
    int task = 0;
    int argument_count = 0;
    char** arguments = NULL;
    snprintf(number, sizeof number, "%ld", (long)getpid());
    add_option(words, "--task", number);
    if (spank_get_item(spank, S_TASK_ID, &task) == ESPANK_SUCCESS && task != 0) add(words, "-q");
    if (spank_get_item(spank, S_JOB_ARGV, &argument_count, &arguments) == ESPANK_SUCCESS &&
        argument_count > 0)
        add_option(words, "--program", arguments[0]);
}

static void apply_variables(spank_t spank, const struct squenv_answer* answer) {
    for (const char* one = squenv_next_variable(answer, NULL); one != NULL;
         one = squenv_next_variable(answer, one)) {
        const char* equals = strchr(one, '=');
        char* name = equals == NULL ? strdup(one) : strndup(one, (size_t)(equals - one));
        if (name == NULL) continue;
        if (equals == NULL)
            spank_unsetenv(spank, name);
        else
            spank_setenv(spank, name, equals + 1, 1);
        free(name);
    }
}

/// Does not return on failure: the task then has ended before its program began. A return value
/// would end it only where the plugin is a required one.
static void provide_images(spank_t spank, const struct request* request, char* const variables[]) {
    struct words words = {.count = 0};
    add(&words, "squenv-slurm");
    add(&words, "--socket");
    add(&words, "3");
    add_task(&words, spank);
    add_request(&words, request);
    struct squenv_answer answer;
    const int status = squenv_ask(settings.program, words.all, variables, &answer);
    if (status != 0) _exit(status);
    const char* failed = squenv_enter(&answer);
    if (failed != NULL) {
        slurm_error("squenv: %s: %s", failed, strerror(errno));
        _exit(125);
    }
    apply_variables(spank, &answer);
}

int slurm_spank_task_init(spank_t spank, int count, char* words[]) {
    (void)count;
    (void)words;
    char** variables = NULL;
    uint32_t step = 0;
    if (spank_get_item(spank, S_JOB_ENV, &variables) != ESPANK_SUCCESS || variables == NULL)
        return ESPANK_SUCCESS;
    if (spank_get_item(spank, S_JOB_STEPID, &step) == ESPANK_SUCCESS && step == EXTERN_STEP)
        return ESPANK_SUCCESS;
    const struct request request = {value_in(variables, IMAGES), value_in(variables, VIEWS),
                                    value_in(variables, ACTIVATE)};
    if (request.images != NULL && strcmp(request.images, NO_IMAGES) != 0)
        provide_images(spank, &request, variables);
    return ESPANK_SUCCESS;
}
