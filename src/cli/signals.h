/* Signals that ask a job to stop. */
#ifndef SAL_CLI_SIGNALS_H
#define SAL_CLI_SIGNALS_H

/* What ends a job whose results are safe at any moment, as a sweep's: SIGINT, SIGTERM and SIGUSR1 are remembered from
 * now on, and a second one ends the process at once. */
void cli_catch_signals(void);
/* What ends other jobs: SIGINT, SIGTERM and SIGHUP are remembered from now on, however many come; those that are
 * ignored, as in the background of a script, stay so. */
void cli_hold_signals(void);
/* The first of them, or 0. */
int cli_stop_signal(void);
int cli_code_of_signal(int signal);
/* Ends the process by a signal, as if it had not been caught: whoever started it, such as a shell's loop, is to know.
 */
void cli_die_of(int signal);

#endif
