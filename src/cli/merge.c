/* salmap merge: one run out of its shards. */
#include "cli/cli.h"
#include "cli/text.h"

#include <stdio.h>

typedef struct settings {
    const char *out;
    int quiet;
} settings;

static const cli_option options[] = {
    CLI_OPTION(CLI_TEXT, 'o', "out", "OUT", out, "folder to copy the merged run into (default: in place, of one RUN)"),
    CLI_OPTION(CLI_FLAG, 'q', "quiet", NULL, quiet, "print errors only"),
};

const cli_command cli_merge_command = {
    .name = "merge",
    .operands = "RUN...",
    .summary = "Makes one run of its shards, after checking that every picture is there once.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .works = 1,
    .min_operands = 1,
};
static const cli_command *const self = &cli_merge_command;

int cli_merge(int argc, char **argv)
{
    int first;
    settings s = {0};
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    const char *const *runs = (const char *const *)argv + first;
    const sal_status st = sal_sweep_merge(&info, runs, (size_t)(argc - first), s.out);
    if (st != SAL_OK)
        return cli_finish(self, cli_fail_status(self, st));
    const char *folder = s.out ? s.out : runs[0];
    if (!s.quiet && info.shards > 0)
        text_print(stdout, "%zu pictures of %zu shards, %zu of them failed -> %s\n", info.pictures, info.shards,
                   info.failed, folder);
    else if (!s.quiet)
        text_print(stdout, "%s is whole already: %zu pictures, %zu of them failed\n", folder, info.pictures,
                   info.failed);
    return cli_finish(self, info.failed ? CLI_SOME_FAILED : CLI_OK);
}
