#include "cli/method.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_METHODS = 64 };

void cli_method_defaults(cli_method *m)
{
    *m = (cli_method){.noise = (double)NAN, .seed = -1, .quadrature = -1};
}

static int has_option(size_t method, const char *name)
{
    sal_method_option_info option = SAL_METHOD_OPTION_INFO_INIT;
    for (size_t k = 0; sal_method_get_option(&option, method, k) == SAL_OK; k++)
        if (strcmp(option.name, name) == 0)
            return 1;
    return 0;
}

static int refuse_name(const cli_command *self, const char *name)
{
    const char *names[MOST_METHODS];
    size_t count = 0;
    sal_method_info info = SAL_METHOD_INFO_INIT;
    for (size_t k = 0; k < sal_method_count() && count < MOST_METHODS; k++)
        if (sal_method_get_info(&info, k) == SAL_OK)
            names[count++] = info.name;
    const char *closest = cli_closest(name, names, count);
    if (closest)
        return cli_fail(self, CLI_USAGE, "--method: there is no '%s'; did you mean '%s'?", name, closest);
    return cli_fail(self, CLI_USAGE, "--method: there is no '%s'; 'salmap methods' lists them", name);
}

/* The methods that do have it. */
static int refuse_option(const cli_command *self, const char *method, const char *option)
{
    char names[256] = "";
    size_t used = 0;
    sal_method_info info = SAL_METHOD_INFO_INIT;
    for (size_t k = 0; k < sal_method_count(); k++)
        if (sal_method_get_info(&info, k) == SAL_OK && has_option(k, option) && used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", info.name);
    return cli_fail(self, CLI_USAGE, "--%s: is no option of method %s; of %s", option, method, names);
}

static int find(size_t *method, sal_method_info *info, const cli_command *self, const char *name)
{
    for (*method = 0; *method < sal_method_count(); ++*method)
        if (sal_method_get_info(info, *method) == SAL_OK && strcmp(info->name, name) == 0)
            return CLI_OK;
    return refuse_name(self, name);
}

static void set_baseline(sal_method_options *o, const char *word)
{
    const int value = sal_word_value(SAL_WORDS_BASELINE, word);
    o->baseline = value >= 0 ? (sal_baseline)value : SAL_BASELINE_FILE;
    o->baseline_file = value >= 0 ? NULL : word;
}

int cli_method_options(sal_method_options *o, const cli_command *self, const cli_method *m)
{
    const struct {
        const char *name;
        int given;
    } options[] = {
        {"samples", m->samples != 0},   {"noise", !isnan(m->noise)},        {"seed", m->seed >= 0},
        {"steps", m->steps != 0},       {"quadrature", m->quadrature >= 0}, {"baseline", m->baseline != NULL},
        {"cam-layer", m->layer != NULL}};
    sal_method_info info = SAL_METHOD_INFO_INIT;
    size_t method;
    const int code = find(&method, &info, self, m->name ? m->name : "gradient");
    if (code != CLI_OK)
        return code;
    for (size_t k = 0; k < sizeof options / sizeof *options; k++)
        if (options[k].given && !has_option(method, options[k].name))
            return refuse_option(self, info.name, options[k].name);
    *o = (sal_method_options){.size = sizeof *o,
                              .name = info.name,
                              .samples = m->samples,
                              .noise = isnan(m->noise) ? SAL_DEFAULT : m->noise,
                              .seed = m->seed > 0 ? (uint64_t)m->seed : 0,
                              .steps = m->steps,
                              .quadrature =
                                  m->quadrature > 0 ? (sal_quadrature)m->quadrature : SAL_QUADRATURE_GAUSS_LEGENDRE,
                              .layer = m->layer};
    if (m->baseline)
        set_baseline(o, m->baseline);
    if (o->baseline_file && access(o->baseline_file, R_OK) != 0) {
        char words[128];
        return cli_fail(self, CLI_USAGE, "--baseline: '%s' is none of %s, nor a file that can be read: %s", m->baseline,
                        sal_words_list(words, sizeof words, SAL_WORDS_BASELINE), strerror(errno));
    }
    return CLI_OK;
}
