/* again MODEL: explains nothing, but opens an engine and uses it; where that fails for want of memory, once more. The
 * second time must succeed: a failure leaves nothing behind that spoils the next attempt. */
#include "salmap/salmap.h"

#include <stdio.h>
#include <stdlib.h>

static sal_status use_engine(const char *path)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .batch = 1, .threads = 1};
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    float *inputs = NULL;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    sal_status st = sal_model_open(&model, path, NULL);
    if (st == SAL_OK)
        st = sal_model_get_info(&info, model);
    if (st == SAL_OK)
        st = sal_engine_open(&engine, model, &options);
    if (st == SAL_OK) {
        inputs = calloc((size_t)(info.channels * info.height * info.width), sizeof *inputs);
        st = inputs ? sal_engine_forward(engine, NULL, inputs, 1) : SAL_ERROR_MEMORY;
    }
    free(inputs);
    sal_engine_close(engine);
    sal_model_close(model);
    return st;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    sal_status st = use_engine(argv[1]);
    if (st != SAL_OK && st != SAL_ERROR_MEMORY) {
        fprintf(stderr, "salmap says '%s', not that it is out of memory: %s\n", sal_status_name(st), sal_last_error());
        return 1;
    }
    if (st != SAL_OK)
        st = use_engine(argv[1]);
    if (st != SAL_OK)
        fprintf(stderr, "salmap cannot do it again: %s\n", sal_last_error());
    return st != SAL_OK;
}
