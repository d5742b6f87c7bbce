#include "base/helper/start.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

enum { MOST_WORDS = 6 };

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

/* No signal is ignored or handled, and none blocked but those that the program ignores once it has begun. */
static int set_signals(posix_spawnattr_t *how)
{
    sigset_t blocked, all;
    int failed;
    sigemptyset(&blocked);
    for (size_t i = 0; i < SAL_HELPER_IGNORED; i++)
        sigaddset(&blocked, sal_helper_ignored[i]);
    sigfillset(&all);
    if ((failed = posix_spawnattr_setsigmask(how, &blocked)) != 0 ||
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
        if ((failed = posix_spawn_file_actions_adddup2(&files, socket, SAL_HELPER_SOCKET)) == 0 &&
            (failed = set_signals(&how)) == 0)
            failed = posix_spawn(out, program, &files, &how, words, environment);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

sal_status sal_helper_start(sal_helper_process *out, const sal_helper *helper, const char *path,
                            const char *const *more)
{
    char library[24];
    const char *words[MOST_WORDS + 1] = {helper->name, library};
    int sockets[2];
    out->process = -1;
    out->socket = -1;
    const sal_status st = sal_helper_find(out->program, helper, path);
    if (st != SAL_OK)
        return st;
    snprintf(library, sizeof library, "%ld", (long)getpid());
    for (size_t n = 2; *more && n < MOST_WORDS; n++)
        words[n] = *more++;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot be read: %s", path, strerror(errno));
    const int failed = spawn(&out->process, out->program, (char *const *)words, sockets[1]);
    close(sockets[1]);
    if (failed) {
        close(sockets[0]);
        out->process = -1;
        return sal_fail(failed == ENOMEM || failed == EAGAIN ? SAL_ERROR_MEMORY : SAL_ERROR_IO,
                        "%s: cannot start %s to read it: %s", path, out->program, strerror(failed));
    }
    out->socket = sockets[0];
    return SAL_OK;
}

sal_status sal_helper_meet(const sal_helper_process *process, const sal_helper *helper, const char *path)
{
    const sal_helper_greeting expected = sal_helper_greet(helper);
    sal_helper_greeting said;
    if (!sal_helper_receive(process->socket, &said, sizeof said))
        return sal_fail(
            SAL_ERROR_IO,
            "%s: cannot be read: cannot start %s, perhaps because memory ran out: run it with --version to see why",
            path, process->program);
    if (memcmp(&said, &expected, sizeof said) != 0)
        return sal_fail(SAL_ERROR_IO,
                        "%s: cannot be read: %s is not of this version of libsalmap, %s: install both together", path,
                        process->program, sal_version());
    return SAL_OK;
}
