#include "cli/engines.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 64 };

typedef struct device_list {
    const cli_command *command;
    char names[CLI_MAX_ENGINES][NAME];
    size_t count;
} device_list;

static int add_device(device_list *l, const char *name, size_t length)
{
    for (size_t k = 0; k < l->count; k++)
        if (strlen(l->names[k]) == length && strncmp(l->names[k], name, length) == 0)
            return cli_fail(l->command, CLI_USAGE, "device '%.*s' is named twice", (int)length, name);
    if (l->count == CLI_MAX_ENGINES || length >= NAME)
        return cli_fail(l->command, CLI_USAGE, "device '%.*s': the list is too long", (int)length, name);
    snprintf(l->names[l->count++], NAME, "%.*s", (int)length, name);
    return CLI_OK;
}

static int add_all_gpus(device_list *l)
{
    const int count = sal_device_count("cuda");
    int code = CLI_OK;
    if (count == 0)
        return cli_fail(l->command, CLI_FAILED, "device 'cuda:all': there is no GPU ('salmap doctor' says why)");
    for (int k = 0; k < count && code == CLI_OK; k++) {
        char name[NAME];
        snprintf(name, sizeof name, "cuda:%d", k);
        code = add_device(l, name, strlen(name));
    }
    return code;
}

static int parse(device_list *l, const char *devices)
{
    int code = CLI_OK;
    for (const char *at = devices; code == CLI_OK; at++) {
        const size_t length = strcspn(at, ",");
        code = length == strlen("cuda:all") && strncmp(at, "cuda:all", length) == 0 ? add_all_gpus(l)
                                                                                    : add_device(l, at, length);
        at += length;
        if (!*at)
            break;
    }
    /* Pictures would come out a little different from one kind to the other. */
    for (size_t k = 0; k < l->count && l->count > 1 && code == CLI_OK; k++)
        if (strncmp(l->names[k], "cuda:", 5) != 0)
            code = cli_fail(l->command, CLI_USAGE, "device '%s' in a list: only GPUs share the work, as cuda:0,cuda:1",
                            l->names[k]);
    return code;
}

int cli_engines_open(cli_engines *out, const cli_command *command, sal_model *model, const char *devices,
                     const sal_engine_options *options)
{
    device_list l = {.command = command};
    sal_engine_options o = *options;
    memset(out, 0, sizeof *out);
    int code = parse(&l, devices ? devices : "auto");
    for (; code == CLI_OK && out->count < l.count; out->count++) {
        o.device = l.names[out->count];
        o.take_weights = out->count + 1 == l.count;
        const sal_status st = sal_engine_open(&out->list[out->count], model, &o);
        if (st != SAL_OK) {
            code = cli_fail_status(command, st);
            break;
        }
    }
    if (code != CLI_OK)
        cli_engines_close(out);
    return code;
}

void cli_engines_close(cli_engines *e)
{
    for (size_t k = 0; k < e->count; k++)
        sal_engine_close(e->list[k]);
    memset(e, 0, sizeof *e);
}
