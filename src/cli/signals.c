#include "cli/signals.h"

#include "cli/cli.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal, second_ends;

int cli_stop_signal(void)
{
    return stop_signal;
}

int cli_code_of_signal(int signal)
{
    return signal == SIGINT ? CLI_INTERRUPTED : CLI_STOPPED;
}

static void on_signal(int signal)
{
    if (stop_signal && second_ends)
        _exit(cli_code_of_signal(signal));
    if (!stop_signal)
        stop_signal = signal;
}

static void catch_all(const int signals[3], int ignored_too)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 3; i++)
        if (ignored_too || (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN))
            (void)sigaction(signals[i], &action, NULL);
}

void cli_catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    second_ends = 1;
    catch_all(signals, 1);
}

void cli_hold_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    second_ends = 0;
    catch_all(signals, 0);
}

void cli_die_of(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}
