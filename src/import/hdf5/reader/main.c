/* salmap-hdf5 LIBRARY SIZE FILE [MEMBER]: reads HDF5 for libsalmap, which starts this program with a socket as
 * descriptor SAL_HELPER_SOCKET. LIBRARY is the process that did, SIZE how many bytes the HDF5 file has. libhdf5 crashes
 * over damaged files and might be taken over by hostile ones: that is then the end of this process, which has given up
 * all its rights. */
#include "base/confine.h"
#include "base/helper/begin.h"
#include "import/hdf5/reader/serve.h"

#include <hdf5.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const int ended = sal_helper_begin(&hdf5_helper, argc, argv, 2, 3);
    if (ended >= 0)
        return ended;
    const hdf5_task task = {.path = argv[3], .member = argv[4], .size = strtoull(argv[2], NULL, 10)};
    sal_confine_time(hdf5_most_seconds(task.size));
    tzset(); /* libhdf5 and libzip ask for local time, whose file cannot be opened later: that would cover errno */
    if (H5open() < 0) /* here, since what it needs of its own is no part of the limit of memory */
        return 1;
    hdf5_serve(SAL_HELPER_SOCKET, &task);
    _exit(0); /* libhdf5 need not tidy up after a damaged file */
}
