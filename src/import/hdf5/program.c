#include "import/hdf5/program.h"

#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* What the program has of the environment: where its libraries are, whether a network file system wants libhdf5 to lock
 * files, and the options of sanitizers. What else others preload or set is not meant for it. */
static const char *const kept[] = {
    "LD_LIBRARY_PATH=", "HDF5_USE_FILE_LOCKING=", "ASAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
enum { KEPT = sizeof kept / sizeof *kept };

static void choose_environment(char *out[KEPT + 1])
{
    size_t count = 0;
    for (char **line = environ; line && *line; line++)
        for (size_t k = 0; k < KEPT; k++)
            if (count < KEPT && strncmp(*line, kept[k], strlen(kept[k])) == 0)
                out[count++] = *line;
    out[count] = NULL;
}

/* No signal is blocked, ignored or handled. */
static int set_signals(posix_spawnattr_t *how)
{
    sigset_t none, all;
    int failed;
    sigemptyset(&none);
    sigfillset(&all);
    if ((failed = posix_spawnattr_setsigmask(how, &none)) != 0 ||
        (failed = posix_spawnattr_setsigdefault(how, &all)) != 0)
        return failed;
    return posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* 0, or an errno. The library's own descriptors close themselves; the program closes others that the host has left
 * open. It opens its standard streams itself, too. */
static int spawn(pid_t *out, const char *program, char *const *words, int socket)
{
    char *environment[KEPT + 1];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&how);
    if (!failed) {
        choose_environment(environment);
        if ((failed = posix_spawn_file_actions_adddup2(&files, socket, HDF5_SOCKET)) == 0 &&
            (failed = set_signals(&how)) == 0)
            failed = posix_spawn(out, program, &files, &how, words, environment);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

sal_status hdf5_program_start(pid_t *out, char *program, int socket, const hdf5_task *task)
{
    char library[24], size[24];
    sal_status st = hdf5_program_find(program, task->path);
    if (st != SAL_OK)
        return st;
    snprintf(library, sizeof library, "%ld", (long)getpid());
    snprintf(size, sizeof size, "%llu", (unsigned long long)task->size);
    char *const words[] = {"salmap-hdf5", library, size, (char *)task->path, (char *)task->member, NULL};
    const int failed = spawn(out, program, words, socket);
    if (failed)
        st = sal_fail(failed == ENOMEM || failed == EAGAIN ? SAL_ERROR_MEMORY : SAL_ERROR_IO,
                      "%s: cannot start %s to read it: %s", task->path, program, strerror(failed));
    return st;
}
