/* salmap doctor: what there is to compute with, and what is missing. */
#include "cli/cli.h"
#include "cli/json.h"

#include <stdio.h>

typedef struct settings {
    int json;
} settings;

static const cli_option options[] = {
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object"),
};

const cli_command cli_doctor_command = {
    .name = "doctor",
    .summary = "What there is to compute with: libraries, driver, GPUs.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};
static const cli_command *const self = &cli_doctor_command;

enum { MAX_ROWS = 128 };

static const char *const states[] = {"ok", "missing", "failed"};

static void print_table(const sal_check *rows, size_t count)
{
    printf("salmap %s\n", sal_version());
    for (size_t i = 0; i < count; i++) {
        printf("  %-12s%-9s%s\n", rows[i].name, states[rows[i].state], rows[i].found);
        if (rows[i].advice[0])
            printf("  %-12s%-9s%s\n", "", "", rows[i].advice);
    }
}

static void print_json(const sal_check *rows, size_t count)
{
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "version", sal_version());
    cli_json_boolean(&j, "works", rows[0].state == SAL_CHECK_FINE);
    cli_json_begin(&j, "checks", '[');
    for (size_t i = 0; i < count; i++) {
        cli_json_begin(&j, NULL, '{');
        cli_json_text(&j, "name", rows[i].name);
        cli_json_text(&j, "state", states[rows[i].state]);
        cli_json_text(&j, "found", rows[i].found);
        cli_json_text(&j, "advice", rows[i].advice[0] ? rows[i].advice : NULL);
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_print(&j);
}

int cli_doctor(int argc, char **argv)
{
    int first;
    settings s = {0};
    sal_check rows[MAX_ROWS];
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    const size_t count = sal_system_check(rows, MAX_ROWS);
    if (s.json)
        print_json(rows, count);
    else
        print_table(rows, count);
    return cli_finish(self, rows[0].state == SAL_CHECK_FINE ? CLI_OK : CLI_FAILED);
}
