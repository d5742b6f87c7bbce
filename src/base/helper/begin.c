#include "base/helper/begin.h"

#include "base/confine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* 1: the process ends when the library's does. */
static int follow(pid_t library)
{
    sigset_t none, ignored;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != library)
        return 0;
    sal_helper_ignored(&ignored);
    for (int s = 1; s <= SIGRTMAX; s++)
        if (sigismember(&ignored, s) == 1)
            signal(s, SIG_IGN);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* A sanitizer has handlers of its own. */
static void crash_silently(void)
{
    for (int s = 1; s < SIGRTMIN; s++)
        if (sal_helper_is_fault(s))
            signal(s, SIG_DFL);
}

/* The last descriptor that is meant for the program: the file has one where its path says so. */
static int last_descriptor(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], SAL_HELPER_FILE_PATH) == 0)
            return SAL_HELPER_FILE;
    return SAL_HELPER_SOCKET;
}

int sal_helper_begin(const sal_helper *me, int argc, char **argv, int least, int most)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("%s %s\n", me->name, sal_version()) < 0;
    if (argc < 2 + least || argc > 2 + most) {
        fprintf(stderr, "%s: libsalmap starts this program, which %s; it is of no use by itself\n", me->name,
                me->purpose);
        return 2;
    }
    if (!follow((pid_t)strtol(argv[1], NULL, 10)) || !sal_confine_streams())
        return 1;
    crash_silently();
    sal_confine_descriptors(SAL_HELPER_SOCKET, last_descriptor(argc, argv));
    return -1;
}
