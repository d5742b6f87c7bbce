/* salmap methods: how scores can be attributed. */
#include "cli/cli.h"
#include "cli/json.h"

#include <stdio.h>
#include <string.h>

typedef struct settings {
    int json;
} settings;

static const cli_option options[] = {
    CLI_OPTION(CLI_FLAG, 0, "json", NULL, json, "print one JSON object per method and line"),
};

const cli_command cli_methods_command = {
    .name = "methods",
    .operands = "[NAME]",
    .summary = "The methods of attribution: definition, cost, options.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .max_operands = 1,
};
static const cli_command *const self = &cli_methods_command;

static void print_json(size_t method, const sal_method_info *m)
{
    sal_method_option_info option = SAL_METHOD_OPTION_INFO_INIT;
    cli_json j = {0};
    cli_json_begin(&j, NULL, '{');
    cli_json_text(&j, "name", m->name);
    cli_json_text(&j, "definition", m->definition);
    cli_json_text(&j, "paper", m->paper);
    cli_json_text(&j, "cost", m->cost);
    cli_json_begin(&j, "options", '[');
    for (size_t k = 0; sal_method_get_option(&option, method, k) == SAL_OK; k++) {
        cli_json_begin(&j, NULL, '{');
        cli_json_text(&j, "name", option.name);
        cli_json_text(&j, "default", option.initial);
        cli_json_text(&j, "help", option.help);
        cli_json_end(&j);
    }
    cli_json_end(&j);
    cli_json_print(&j);
}

static void print_whole(size_t method, const sal_method_info *m)
{
    sal_method_option_info option = SAL_METHOD_OPTION_INFO_INIT;
    printf("%s\n  definition   %s\n  cost         %s\n  paper        %s\n", m->name, m->definition, m->cost, m->paper);
    for (size_t k = 0; sal_method_get_option(&option, method, k) == SAL_OK; k++)
        printf("  --%-11s%s (default: %s)\n", option.name, option.help, option.initial);
}

static int print_one(const settings *s, const char *name)
{
    const char *names[64];
    size_t count = 0;
    sal_method_info info = SAL_METHOD_INFO_INIT;
    for (size_t k = 0; k < sal_method_count(); k++) {
        if (sal_method_get_info(&info, k) != SAL_OK)
            return cli_fail_library(self);
        if (strcmp(info.name, name) == 0) {
            (s->json ? print_json : print_whole)(k, &info);
            return CLI_OK;
        }
        if (count < sizeof names / sizeof *names)
            names[count++] = info.name;
    }
    const char *closest = cli_closest(name, names, count);
    return cli_fail(self, CLI_USAGE,
                    closest ? "there is no method '%s'; did you mean '%s'?" : "there is no method '%s'", name, closest);
}

static int print_all(const settings *s)
{
    sal_method_info info = SAL_METHOD_INFO_INIT;
    if (!s->json)
        printf(
            "g = ds/dx, s the explained score, x the network's input; A a layer's output, G = ds/dA\n\n%-22s%-56s%s\n",
            "method", "definition", "cost, in passes");
    for (size_t k = 0; k < sal_method_count(); k++) {
        if (sal_method_get_info(&info, k) != SAL_OK)
            return cli_fail_library(self);
        if (s->json)
            print_json(k, &info);
        else
            printf("%-22s%-56s%s\n", info.name, info.definition, info.cost);
    }
    return CLI_OK;
}

int cli_methods(int argc, char **argv)
{
    int first;
    settings s = {0};
    const cli_parsed parsed = cli_parse(&first, &s, self, argc, argv);
    if (parsed != CLI_GO)
        return parsed == CLI_HELPED ? cli_finish(NULL, CLI_OK) : CLI_USAGE;
    return cli_finish(self, first < argc ? print_one(&s, argv[first]) : print_all(&s));
}
