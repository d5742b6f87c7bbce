#include "base/helper/helper.h"

/* Raised by the kernel for what the process itself has done. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};

/* Those that end no process, SIGKILL, which nobody can ignore, and SIGXFSZ, which ends a program that writes. */
static const int others[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL, SIGXFSZ};

int sal_helper_is_fault(int signal)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i] == signal)
            return 1;
    return 0;
}

void sal_helper_ignored(sigset_t *out)
{
    sigfillset(out);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(out, faults[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        sigdelset(out, others[i]);
}
