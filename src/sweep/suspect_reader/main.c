/* salmap-picture LIBRARY FILE: reads a picture for a sweep that was killed over it, with a socket as descriptor
 * SAL_HELPER_SOCKET. LIBRARY is the process of that sweep. If the picture is to blame, it is the end of this process
 * alone. */
#include "base/confine.h"
#include "base/helper/begin.h"
#include "sweep/suspect_reader/read_suspect.h"

#include <fcntl.h>
#include <unistd.h>

/* Where memory runs out the system takes this process rather than the sweep's. */
static void be_taken_first(void)
{
    const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score < 0)
        return;
    (void)!write(score, "1000", 4);
    close(score);
}

int main(int argc, char **argv)
{
    const int ended = sal_helper_begin(&sal_suspect_helper, argc, argv, 1, 1);
    if (ended >= 0)
        return ended;
    be_taken_first();
    sal_confine_time(SAL_SUSPECT_MOST_SECONDS);
    _exit(sal_suspect_read(SAL_HELPER_SOCKET, argv[2]));
}
