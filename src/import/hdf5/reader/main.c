/* salmap-hdf5 LIBRARY SIZE FILE [MEMBER]: reads HDF5 for libsalmap, which starts this program with a socket as
 * descriptor HDF5_SOCKET. LIBRARY is the process that did, SIZE how many bytes the HDF5 file has. libhdf5 crashes over
 * damaged files and might be taken over by hostile ones: that is then the end of this process, which has given up all
 * its rights. */
#include "base/confine.h"
#include "import/hdf5/reader/serve.h"

#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* 1: the process ends when the library's does. A terminal sends its signals to both: the library's host decides. */
static int follow(pid_t library)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != library)
        return 0;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    return 1;
}

/* Where libhdf5 crashes it does so in silence: a sanitizer has handlers of its own. */
static void crash_silently(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("salmap-hdf5 %s\n", sal_version()) < 0;
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "salmap-hdf5: libsalmap starts this program to read HDF5 files; it is of no use by itself\n");
        return 2;
    }
    const hdf5_task task = {.path = argv[3], .member = argv[4], .size = strtoull(argv[2], NULL, 10)};
    if (!follow((pid_t)strtol(argv[1], NULL, 10)) || !sal_confine_streams())
        return 1;
    crash_silently();
    sal_confine_descriptors(HDF5_SOCKET);
    sal_confine_time(hdf5_most_seconds(task.size));
    tzset(); /* libhdf5 and libzip ask for local time, whose file cannot be opened later: that would cover errno */
    if (H5open() < 0) /* here, since what it needs of its own is no part of the limit of memory */
        return 1;
    hdf5_serve(HDF5_SOCKET, &task);
    _exit(0); /* libhdf5 need not tidy up after a damaged file */
}
