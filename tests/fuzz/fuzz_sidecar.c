/* Any bytes as the file beside a model that says how pictures are prepared. What is accepted can be saved, and comes
 * back as it was. */
#include "support.h"

#include "image/preprocess.h"

static void require_same(const sal_preprocess *a, const sal_preprocess *b)
{
    const float scales[2] = {a->scale == 0.0F ? 1.0F : a->scale, b->scale == 0.0F ? 1.0F : b->scale};
    FUZZ_REQUIRE(a->fit == b->fit && a->order == b->order && a->crop_resize == b->crop_resize);
    FUZZ_REQUIRE(a->fill == b->fill && scales[0] == scales[1] && a->value_count == b->value_count);
    for (int k = 0; k < a->value_count; k++)
        FUZZ_REQUIRE(a->mean[k] == b->mean[k] && a->std[k] == b->std[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *model = fuzz_path("m.onnx");
    sal_preprocess p, again;
    int found;
    fuzz_write(fuzz_path("m.onnx.salmap"), bytes, size);
    if (!fuzz_is_ok(sal_preprocess_load(&p, &found, model)))
        return 0;
    FUZZ_REQUIRE(found);
    FUZZ_REQUIRE(sal_preprocess_save(model, &p) == SAL_OK);
    FUZZ_REQUIRE(sal_preprocess_load(&again, &found, model) == SAL_OK && found);
    require_same(&p, &again);
    return 0;
}
