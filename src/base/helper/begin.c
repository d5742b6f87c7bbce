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
    sigset_t none;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != library)
        return 0;
    for (size_t i = 0; i < SAL_HELPER_IGNORED; i++)
        signal(sal_helper_ignored[i], SIG_IGN);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

/* A sanitizer has handlers of its own. */
static void crash_silently(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
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
    sal_confine_descriptors(SAL_HELPER_SOCKET);
    return -1;
}
