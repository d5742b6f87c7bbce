#include "results/run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MILLISECONDS = 20, QUIET_MILLISECONDS = 1000, LOOK_MILLISECONDS = 100 };

static sal_status wait_for(int folder, const char *path, int seconds, int (*stop)(void *context), void *context)
{
    const struct timespec step = {0, STEP_MILLISECONDS * 1000000L};
    for (int64_t waited = 0; flock(folder, LOCK_EX | LOCK_NB) != 0; waited += STEP_MILLISECONDS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return SAL_OK; /* no locks here */
        if (stop && waited >= QUIET_MILLISECONDS && waited % LOOK_MILLISECONDS == 0 && stop(context))
            return sal_fail(SAL_ERROR_CANCELLED, "%s: stopped while another salmap was at work in this folder", path);
        if (seconds >= 0 && waited >= (int64_t)seconds * 1000)
            return sal_fail(SAL_ERROR_IO, "%s: another salmap is at work in this folder: run again when it has ended",
                            path);
        nanosleep(&step, NULL);
    }
    return SAL_OK;
}

/* Of the folder itself: every file in it may be replaced or go. */
sal_status sal_run_lock(int *lock, const char *folder, int seconds, int (*stop)(void *context), void *context)
{
    *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
    const sal_status st = wait_for(*lock, folder, seconds, stop, context);
    if (st != SAL_OK)
        sal_run_unlock(lock);
    return st;
}

/* Not by closing alone: a process that was forked meanwhile has the descriptor as well. */
void sal_run_unlock(int *lock)
{
    if (*lock < 0)
        return;
    (void)flock(*lock, LOCK_UN);
    close(*lock);
    *lock = -1;
}
