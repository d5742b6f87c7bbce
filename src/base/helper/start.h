/* The library's side of the programs that it starts: where they are, and their start. Nobody forks the process that the
 * library is part of: that may have threads, a GPU's context and handlers of its own. */
#ifndef SAL_BASE_HELPER_START_H
#define SAL_BASE_HELPER_START_H

#include "base/helper/helper.h"

#include <limits.h>
#include <sys/types.h>

/* A program that was started. */
typedef struct sal_helper_process {
    char program[PATH_MAX]; /* its path, for messages */
    pid_t process;          /* the caller waits for it; -1: there is none */
    int socket;             /* to it; the caller closes it; -1: there is none */
} sal_helper_process;

/* The path of the file that this code lies in, links resolved: libsalmap.so, or the program that is linked with the
 * static library. 0: unknown. out: PATH_MAX bytes. */
int sal_helper_own_file(char *out);

/* Its path: what its environment variable says, else the first that is there of
 *   libexec/salmap/ beside the file that this code lies in
 *   the folder for such programs, seen from that file: ../libexec/salmap/, where it lies in a folder for programs or
 *   libraries (bin, lib)
 *   the folder for such programs where the build was configured to be installed.
 * A place that is seen from the own file is passed over where another user than root, this one and the own file's may
 * write to the program or its folder; users of the own file's group may. A program with more rights than its user
 * (set-user-ID and the like) tries the last place alone. out: PATH_MAX bytes. path: of the file that it is to read, for
 * the message. Error: IO, which names the places, and why one was passed over. */
sal_status sal_helper_find(char *out, const sal_helper *helper, const char *path);

/* Starts it to read the file at path. Its words are its name, this process, and up to four more, which end with a NULL;
 * one of them that is path becomes sal_helper_path(path). It has the socket, the file itself where path is that of a
 * descriptor of this process, as that of a copy in memory is, and none of this process's signal handlers and masks;
 * what others send to both processes waits until it has begun. Its input and output lead nowhere. On failure *out has
 * neither process nor socket. Errors: IO, MEMORY (also where descriptors or processes ran out). */
sal_status sal_helper_start(sal_helper_process *out, const sal_helper *helper, const char *path,
                            const char *const *more);

/* The path by which the program that was started for path opens the same file: /proc/self is another one there. */
const char *sal_helper_path(const char *path);

enum { SAL_HELPER_SECONDS_TO_GREET = 60 };

/* Receives its greeting: waits for it so long, or until the socket is shut down. Error: IO, where there is none, or it
 * is that of another build. */
sal_status sal_helper_meet(const sal_helper_process *process, const sal_helper *helper, const char *path);

#endif
