#include "cli/cli.h"
#include "cli/text.h"
#include "cli/version.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct subcommand {
    const cli_command *command;
    int (*run)(int argc, char **argv);
} subcommand;

static const subcommand subcommands[] = {
    {&cli_explain_command, cli_explain}, {&cli_sweep_command, cli_sweep},     {&cli_merge_command, cli_merge},
    {&cli_export_command, cli_export},   {&cli_sheet_command, cli_sheet},     {&cli_render_command, cli_render},
    {&cli_inspect_command, cli_inspect}, {&cli_methods_command, cli_methods}, {&cli_plan_command, cli_plan},
    {&cli_doctor_command, cli_doctor},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

/* ---- Messages ----------------------------------------------------------- */

static void say(const cli_command *command, const char *kind, const char *format, va_list args)
{
    fflush(stdout); /* the two streams in the order of events */
    fprintf(stderr, "salmap: %s%s%s", command ? command->name : "", command ? ": " : "", kind);
    text_print_list(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(const cli_command *command, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, "", format, args);
    va_end(args);
    return code;
}

int cli_fail_library(const cli_command *command)
{
    return cli_fail(command, CLI_FAILED, "%s", sal_last_error());
}

int cli_fail_status(const cli_command *command, sal_status st)
{
    return cli_fail(command, st == SAL_ERROR_ARGUMENT ? CLI_USAGE : CLI_FAILED, "%s", sal_last_error());
}

void cli_note(const cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(command, "note: ", format, args);
    va_end(args);
}

/* The errno of standard output's first failure: stdio forgets. */
static int output_error;
static int forgotten;

void cli_output_failed(int reason)
{
    if (!output_error)
        output_error = reason ? reason : EIO;
}

int cli_write(const char *bytes, size_t size)
{
    errno = 0;
    if (fwrite(bytes, 1, size, stdout) != size)
        cli_output_failed(errno);
    return output_error;
}

int cli_flush(void)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout))
        cli_output_failed(errno);
    return output_error;
}

void cli_forget_output(void)
{
    forgotten = 1;
}

void cli_finish_report(void)
{
    if (cli_flush() == EPIPE)
        cli_forget_output();
}

int cli_finish(const cli_command *command, int code)
{
    const int reason = forgotten ? 0 : cli_flush();
    if (reason == EPIPE && !(command && command->works)) /* as with "| head": the reader has what it wanted */
        return CLI_FAILED;
    if (reason)
        return cli_fail(command, CLI_FAILED, "cannot write to standard output: %s", strerror(reason));
    return code;
}

/* ---- Dispatch ----------------------------------------------------------- */

static void print_usage(FILE *to)
{
    fputs("Usage: salmap COMMAND [OPTION]... [OPERAND]...\n"
          "Which input pixels drove a ConvNet's prediction.\n\n"
          "Commands:\n",
          to);
    for (int i = 0; i < SUBCOMMANDS; i++)
        fprintf(to, "  %-10s%s\n", subcommands[i].command->name, subcommands[i].command->summary);
    fputs("\n"
          "  salmap COMMAND --help   the options of a command\n"
          "  salmap version          the version, and the commit that it was built from; also -v, --version\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but some pictures failed,\n"
          "75 or 130 a sweep that was stopped: run it again.\n",
          to);
}

static const subcommand *find_subcommand(const char *name)
{
    for (int i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(subcommands[i].command->name, name) == 0)
            return &subcommands[i];
    return NULL;
}

static int unknown_subcommand(const char *name)
{
    const char *names[SUBCOMMANDS];
    for (int i = 0; i < SUBCOMMANDS; i++)
        names[i] = subcommands[i].command->name;
    const char *closest = cli_closest(name, names, SUBCOMMANDS);
    if (closest)
        cli_fail(NULL, 0, "unknown command '%s'; did you mean '%s'?", name, closest);
    else
        cli_fail(NULL, 0, "unknown command '%s'", name);
    fputs("Try 'salmap --help'.\n", stderr);
    return CLI_USAGE;
}

static int asks_version(const char *word)
{
    static const char *const words[] = {"version", "--version", "-v", "-V"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return 1;
    return 0;
}

/* The first line is for programs as well. */
static int print_version(void)
{
    printf("salmap %s\n", sal_version());
    if (cli_commit)
        printf("commit %s\n", cli_commit);
    return cli_finish(NULL, CLI_OK);
}

int main(int argc, char **argv)
{
    /* A reader that left is seen as a failed write, with its message and exit code. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like a full disk */
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody learns how a program that salmap started has ended */
    if (argc < 2) {
        print_usage(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (asks_version(word))
        return print_version();
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (strcmp(word, "help") == 0 && argc == 2)) {
        print_usage(stdout);
        return cli_finish(NULL, CLI_OK);
    }
    if (strcmp(word, "help") == 0 && asks_version(argv[2]))
        return print_version();
    if (strcmp(word, "help") == 0) {
        const subcommand *about = find_subcommand(argv[2]);
        static char help[] = "--help";
        char *arguments[] = {argv[2], help, NULL};
        return about ? about->run(2, arguments) : unknown_subcommand(argv[2]);
    }
    const subcommand *s = find_subcommand(word);
    return s ? s->run(argc - 1, argv + 1) : unknown_subcommand(word);
}
