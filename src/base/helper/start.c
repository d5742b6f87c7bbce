#include "base/helper/start.h"

#include "base/memory_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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
    sal_helper_ignored(&blocked);
    sigfillset(&all);
    if ((failed = posix_spawnattr_setsigmask(how, &blocked)) != 0 ||
        (failed = posix_spawnattr_setsigdefault(how, &all)) != 0)
        return failed;
    return posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* What the program has open: the socket, the file where it is none that a path leads to (else -1), and streams that
 * lead nowhere. In this order: the socket may be any descriptor of this process, the file is one that none of them
 * takes. */
static int set_files(posix_spawn_file_actions_t *files, int socket, int file)
{
    int failed = posix_spawn_file_actions_adddup2(files, socket, SAL_HELPER_SOCKET);
    if (!failed && file >= 0)
        failed = posix_spawn_file_actions_adddup2(files, file, SAL_HELPER_FILE);
    for (int stream = 0; !failed && stream <= 1; stream++)
        failed = posix_spawn_file_actions_addopen(files, stream, "/dev/null", O_RDWR, 0);
    return failed;
}

/* 0, or an errno. The library's own descriptors close themselves; the program closes others that the host has left
 * open. Until then its loader may complain to the host's standard error. */
static int spawn(pid_t *out, const char *program, char *const *words, int socket, int file)
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
        if ((failed = set_files(&files, socket, file)) == 0 && (failed = set_signals(&how)) == 0)
            failed = posix_spawn(out, program, &files, &how, words, environment);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

/* Where something has run out, the same may go well later. */
static sal_status status_of(int failed)
{
    return failed == ENOMEM || failed == EAGAIN || failed == EMFILE || failed == ENFILE || failed == ENOBUFS
               ? SAL_ERROR_MEMORY
               : SAL_ERROR_IO;
}

/* The descriptor of this process that the path is of; -1: the path is none of that kind. */
static int descriptor_of(const char *path)
{
    static const char own[] = "/proc/self/fd/";
    if (!sal_path_is_descriptor(path) || strncmp(path, own, sizeof own - 1) != 0)
        return -1;
    const long fd = strtol(path + sizeof own - 1, NULL, 10);
    return fd <= INT_MAX ? (int)fd : -1;
}

const char *sal_helper_path(const char *path)
{
    return descriptor_of(path) >= 0 ? SAL_HELPER_FILE_PATH : path;
}

/* With sockets[1] for the program. Returns 0, or an errno. */
static int start_with(sal_helper_process *out, const char *path, const char *const *words, const int *sockets)
{
    const int fd = descriptor_of(path);
    const int file = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, SAL_HELPER_FILE + 1) : -1;
    if (fd >= 0 && file < 0)
        return errno;
    const int failed = spawn(&out->process, out->program, (char *const *)words, sockets[1], file);
    if (file >= 0)
        close(file);
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
    for (size_t n = 2; *more && n < MOST_WORDS; n++, more++)
        words[n] = strcmp(*more, path) == 0 ? sal_helper_path(path) : *more;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return sal_fail(status_of(errno), "%s: cannot be read: %s", path, strerror(errno));
    const int failed = start_with(out, path, words, sockets);
    close(sockets[1]);
    if (failed) {
        close(sockets[0]);
        out->process = -1;
        return sal_fail(status_of(failed), "%s: cannot start %s to read it: %s", path, out->program, strerror(failed));
    }
    out->socket = sockets[0];
    return SAL_OK;
}

/* How long an answer is waited for; 0: for ever. */
static void set_patience(int socket, time_t seconds)
{
    const struct timeval most = {.tv_sec = seconds};
    (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
}

sal_status sal_helper_meet(const sal_helper_process *process, const sal_helper *helper, const char *path)
{
    const sal_helper_greeting expected = sal_helper_greet(helper);
    sal_helper_greeting said;
    set_patience(process->socket, SAL_HELPER_SECONDS_TO_GREET);
    const int greeted = sal_helper_receive(process->socket, &said, sizeof said), why = errno;
    set_patience(process->socket, 0);
    if (!greeted && why == EAGAIN)
        return sal_fail(SAL_ERROR_IO, "%s: cannot be read: %s has not begun within %d s: try again", path,
                        process->program, SAL_HELPER_SECONDS_TO_GREET);
    if (!greeted)
        return sal_fail(
            SAL_ERROR_IO,
            "%s: cannot be read: cannot start %s, perhaps because memory ran out: run it with --version to see why",
            path, process->program);
    if (memcmp(&said, &expected, sizeof said) != 0)
        return sal_fail(SAL_ERROR_IO,
                        "%s: cannot be read: %s is not of this version of libsalmap, %s, or of another build: install "
                        "both together",
                        path, process->program, sal_version());
    return SAL_OK;
}
