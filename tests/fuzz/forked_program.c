/* In the place of src/import/hdf5/program.c: HDF5 files are read by a fork of the test, in which a fuzzer's counters
 * and sanitizers are at work, or a made-up reader. */
#include "base/confine.h"
#include "base/error.h"
#include "base/memory_copy.h"
#include "import/hdf5/program.h"
#include "import/hdf5/reader/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where it breaks down it does so in silence, whatever handlers the test has. */
static void drop_handlers(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

sal_status hdf5_program_start(sal_helper_process *out, const hdf5_task *task)
{
    int sockets[2];
    *out = (sal_helper_process){.program = "a fork", .process = -1, .socket = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return sal_fail(SAL_ERROR_IO, "no sockets: %s", strerror(errno));
    out->process = fork();
    if (out->process == 0) {
        drop_handlers();
        sal_confine_time(hdf5_most_seconds(task->size));
        if (!sal_path_is_descriptor(task->path)) /* which would be closed as well */
            sal_confine_descriptors(sockets[1], sockets[1]);
        hdf5_serve(sockets[1], task);
        _exit(0);
    }
    close(sockets[1]);
    out->socket = sockets[0];
    return out->process > 0 ? SAL_OK : sal_fail(SAL_ERROR_MEMORY, "cannot fork: %s", strerror(errno));
}
