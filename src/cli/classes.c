#include "cli/classes.h"

#include <inttypes.h>
#include <stdio.h>

int cli_classes_open(sal_classes **out, const cli_command *self, const char *path, const sal_model *model)
{
    sal_model_info info = SAL_MODEL_INFO_INIT;
    const sal_status st = path ? sal_classes_open(out, path) : sal_classes_of_model(out, model);
    if (st != SAL_OK || sal_model_get_info(&info, model) != SAL_OK)
        return cli_fail_library(self);
    const size_t count = sal_classes_count(*out);
    const int yes_or_no = info.outputs == 1 && info.detached;
    if (!path || count == (yes_or_no ? 2 : (size_t)info.outputs))
        return CLI_OK;
    sal_classes_close(*out);
    *out = NULL;
    return cli_fail(self, CLI_USAGE, "--classes %s: has %zu names, and the network has %" PRId64 " output%s%s", path,
                    count, info.outputs, info.outputs == 1 ? "" : "s", yes_or_no ? ", a yes or no of two names" : "");
}

const char *cli_classes_text(char *text, size_t size, const sal_classes *c)
{
    enum { FIRST = 16 };
    const size_t count = sal_classes_count(c);
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        const int cut = count > FIRST + 1 && i == FIRST;
        if (cut)
            i = count - 1;
        used += (size_t)snprintf(text + used, size - used, "%s%zu %.60s",
                                 i == 0 ? ""
                                 : cut  ? " ... "
                                        : ", ",
                                 i, sal_classes_name(c, (int64_t)i));
    }
    return text;
}
