#define _GNU_SOURCE /* asprintf */
#include "results/settings_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sal_status sal_settings_each(const char *settings,
                             sal_status (*visit)(void *context, const char *name, const char *value), void *context)
{
    sal_status st = SAL_OK;
    char *copy = strdup(settings), *rest = copy;
    if (!copy)
        return sal_fail_memory(strlen(settings), "settings");
    for (char *line; st == SAL_OK && (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = '\0';
        st = visit(context, line, value);
    }
    free(copy);
    return st;
}

int sal_settings_is_no_option(const char *name)
{
    return strcmp(name, SAL_SETTINGS_BASELINE_SHA256) == 0 || strcmp(name, SAL_SETTINGS_ARITHMETIC) == 0 ||
           strcmp(name, SAL_SETTINGS_MAP_ARITHMETIC) == 0 || strcmp(name, SAL_SETTINGS_CLASS_NAMES) == 0 ||
           strcmp(name, SAL_SETTINGS_LABEL_NAMES) == 0;
}

int sal_settings_is_of_preprocess(const char *name)
{
    static const char *const names[] = {"fit",         "order",      "scale",      "mean",     "std",       "fill",
                                        "crop-resize", "crop-share", "crop-round", "resample", "antialias", "round",
                                        "grid",        "alpha-over", "exif",       "jpeg-dct", "pages",     "depth"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

static const char before[] = "\nnormalize minmax\n", now[] = "\nnormalize keras-vis\n";

int sal_settings_mean_keras_vis(const char *settings)
{
    return strstr(settings, before) && !strstr(settings, "\n" SAL_SETTINGS_MAP_ARITHMETIC " ");
}

sal_status sal_settings_as_before(char **out, const char *settings)
{
    const char *line = strstr(settings, now);
    *out = NULL;
    if (!line)
        return SAL_OK;
    if (asprintf(out, "%.*s%s%s", (int)(line - settings), settings, before, line + sizeof now - 1) < 0) {
        *out = NULL;
        return sal_fail_memory(strlen(settings), "settings");
    }
    return SAL_OK;
}

const char *sal_settings_unsaid(const char *name)
{
    static const struct {
        const char *name;
        const char *unsaid;
    } all[] = {
        {"alpha-over", "auto"},
        {"antialias", "on"},
        {"blend", "flat"},
        {"crop-round", "even"},
        {"crop-share", "0"},
        {"depth", "stored"},
        {"exif", "auto"},
        {"grid", "half-pixel"},
        {"jpeg-dct", "accurate"},
        {"label-as", "auto"},
        {"label-column", "label"},
        {"method", "gradient"},
        {"overlay-size", "full"},
        {"pages", "auto"},
        {"path-column", "path"},
        {"resample", "bilinear"},
        {"strict", "no"},
        {SAL_SETTINGS_ARITHMETIC, "1"},
        {SAL_SETTINGS_MAP_ARITHMETIC, "1"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0)
            return all[i].unsaid;
    return "none";
}
