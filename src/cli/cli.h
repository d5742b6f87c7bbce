/* The program around the library: subcommands, exit codes, messages. Uses the public
 * header only. */
#ifndef SAL_CLI_CLI_H
#define SAL_CLI_CLI_H

#include "cli/options.h"

/* Exit codes, as the manual page lists them. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_SOME_FAILED = 3,  /* finished, but some pictures failed */
    CLI_STOPPED = 75,     /* a sweep was asked to stop and saved what it had: run it again (EX_TEMPFAIL of sysexits) */
    CLI_INTERRUPTED = 130 /* the same, by the keyboard */
};

/* Subcommands: argv[0] is the subcommand's name; they return the exit code. */
int cli_doctor(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_merge(int argc, char **argv);
int cli_methods(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_render(int argc, char **argv);
int cli_sheet(int argc, char **argv);
int cli_sweep(int argc, char **argv);

extern const cli_command cli_doctor_command;
extern const cli_command cli_explain_command;
extern const cli_command cli_export_command;
extern const cli_command cli_inspect_command;
extern const cli_command cli_merge_command;
extern const cli_command cli_methods_command;
extern const cli_command cli_plan_command;
extern const cli_command cli_render_command;
extern const cli_command cli_sheet_command;
extern const cli_command cli_sweep_command;

/* "salmap: explain: text" on stderr; returns the exit code given. */
int cli_fail(const cli_command *command, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with the library's last error. */
int cli_fail_library(const cli_command *command);
/* The same with CLI_USAGE where the library says that an argument was wrong. */
int cli_fail_status(const cli_command *command, sal_status st);
/* "salmap: explain: note: text" on stderr. */
void cli_note(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Remembers why something could not be printed, an errno, for cli_finish to tell. The first reason counts. */
void cli_output_failed(int reason);
/* Writes to stdout; 0, or the errno of its first failure. */
int cli_write(const char *bytes, size_t size);
/* Flushes stdout; 0, or the errno of its first failure. */
int cli_flush(void);
/* Nobody reads it any more, and nothing was lost by that: it is no failure. */
void cli_forget_output(void);
/* Flushes what a command that has done its work says of it: a reader that left wanted the files all the same. */
void cli_finish_report(void);
/* code, or CLI_FAILED with a message when what was printed did not reach stdout; without one where the reader left and
 * the command only tells something. command: NULL also for a help text. */
int cli_finish(const cli_command *command, int code);

#endif
