/* The names that a model's file has for its outputs. */
#include "api/identity.h"
#include "dataset/classes.h"

#include <string.h>

sal_status sal_classes_of_model(sal_classes **out, const sal_model *model)
{
    sal_status st = SAL_OK;
    sal_model_info info = SAL_MODEL_INFO_INIT;
    sal_classes *c = NULL;
    TRY(sal_require(out, "out", __func__));
    *out = NULL;
    TRY(sal_require(model, "model", __func__));
    TRY(sal_model_get_info(&info, model));
    const char *text = sal_model_class_names(model);
    if (!text)
        return SAL_OK;
    st = sal_classes_parse(&c, text, strlen(text), info.path);
    if (st == SAL_ERROR_MEMORY)
        return st;
    /* Names of something else, such as what a detector finds, are none of the outputs. */
    const size_t count = sal_classes_count(c);
    if ((info.outputs > 1 && count == (size_t)info.outputs) || (info.outputs == 1 && info.detached && count == 2))
        *out = c;
    else
        sal_classes_close(c);
    st = SAL_OK;
done:
    return st;
}
