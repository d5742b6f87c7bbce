#include "cli/network.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_SIDE = 1 << 20, MOST_AGE = 1000000 };

/* "400", or "300x400". */
static int read_size(int64_t *height, int64_t *width, const char *text)
{
    int h, w, end = 0;
    if (sscanf(text, "%7dx%7d%n", &h, &w, &end) == 2 && text[end] == '\0') {
        *height = h;
        *width = w;
    } else if (sscanf(text, "%7d%n", &h, &end) == 1 && text[end] == '\0') {
        *height = *width = h;
    } else {
        return 0;
    }
    return *height > 0 && *width > 0 && *height <= MOST_SIDE && *width <= MOST_SIDE;
}

int cli_network_open(sal_model **out, const cli_command *self, const cli_network *n, const char *path,
                     const sal_limits *limits)
{
    sal_model_options o = {.size = sizeof o,
                           .output = n->output,
                           .layer = n->layer,
                           .limits = limits,
                           .at = n->at,
                           .coral = n->coral != NULL};
    char *end = NULL;
    *out = NULL;
    if (n->coral)
        o.first_age = strtod(n->coral, &end);
    if (n->coral && (end == n->coral || *end || !(o.first_age >= -MOST_AGE && o.first_age <= MOST_AGE)))
        return cli_fail(self, CLI_USAGE, "--coral: '%s' is no age of the first class, such as 0", n->coral);
    if (n->coral && n->at)
        return cli_fail(self, CLI_USAGE, "--coral makes an age of all outputs; leave --at out");
    if (n->input_size && !read_size(&o.height, &o.width, n->input_size))
        return cli_fail(self, CLI_USAGE, "--input-size: '%s' is not a size such as 224 or 300x400", n->input_size);
    const sal_status st = sal_model_open_with(out, path, &o);
    return st == SAL_OK ? CLI_OK : cli_fail_status(self, st);
}
