/* In the place of src/import/hdf5/program.c: HDF5 files are read by a fork of the test, in which a fuzzer's counters
 * and sanitizers are at work, or a made-up reader. */
#include "base/confine.h"
#include "base/error.h"
#include "import/hdf5/program.h"
#include "import/hdf5/reader/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where it breaks down it does so in silence, whatever handlers the test has. */
static void drop_handlers(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

sal_status hdf5_program_start(pid_t *out, char *program, int socket, const hdf5_task *task)
{
    snprintf(program, PATH_MAX, "a fork");
    *out = fork();
    if (*out == 0) {
        drop_handlers();
        sal_confine_time(hdf5_most_seconds(task->size));
        sal_confine_descriptors(socket);
        hdf5_serve(socket, task);
        _exit(0);
    }
    return *out > 0 ? SAL_OK : sal_fail(SAL_ERROR_MEMORY, "cannot fork: %s", strerror(errno));
}
