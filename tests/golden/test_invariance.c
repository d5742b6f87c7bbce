/* A picture's gradient does not depend on what it is computed with: not on the number of pictures in
 * the call, nor on its place among them, nor on the engine's batch. Equal means every bit. */
#include "golden/architecture.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4 };

#define must(call)                                                                                                     \
    do {                                                                                                               \
        const sal_status status_ = (call);                                                                             \
        cr_assert(status_ == SAL_OK, "%s: %s", #call, sal_last_error());                                               \
    } while (0)

typedef struct bench {
    const char *name;
    sal_model *model;
    size_t elements;
    float *pictures;                  /* BATCH different ones */
    float *inputs;                    /* as they are given to the engine */
    float *gradients;                 /* as they come from it */
    float *alone;                     /* of each picture, computed alone in an engine of BATCH */
    const sal_method_options *method; /* or NULL */
} bench;

static void bench_open(bench *b, const char *name)
{
    reference r;
    cr_assert(reference_read(&r, name, ""), "%s: the references cannot be read", name);
    b->name = name;
    b->elements = r.elements;
    b->pictures = malloc(BATCH * r.elements * sizeof *b->pictures);
    b->inputs = malloc(BATCH * r.elements * sizeof *b->inputs);
    b->gradients = malloc(BATCH * r.elements * sizeof *b->gradients);
    b->alone = malloc(BATCH * r.elements * sizeof *b->alone);
    cr_assert(b->pictures && b->inputs && b->gradients && b->alone);
    /* The two of the file, and both with their pixels in reverse order. */
    for (size_t i = 0; i < 2 * r.elements; i++) {
        b->pictures[i] = r.pixels[i];
        b->pictures[4 * r.elements - 1 - i] = r.pixels[i];
    }
    reference_clear(&r);
}

static void bench_close(bench *b)
{
    free(b->pictures);
    free(b->inputs);
    free(b->gradients);
    free(b->alone);
}

/* The model is read again each time, since an engine takes its weights over. */
static sal_engine *engine_open(bench *b, int64_t batch)
{
    const sal_engine_options options = {
        .size = sizeof(sal_engine_options), .device = "cpu", .batch = batch, .threads = 2, .method = b->method};
    sal_engine *engine;
    must(sal_model_open(&b->model, architecture_path(b->name, "", "model.onnx"), NULL));
    must(sal_engine_open(&engine, b->model, &options));
    return engine;
}

static void engine_close(bench *b, sal_engine *engine)
{
    sal_engine_close(engine);
    sal_model_close(b->model);
    b->model = NULL;
}

/* Pictures order[0..count) in one call; the gradients end up in b->gradients. */
static void compute(bench *b, sal_engine *engine, const int *order, int count)
{
    const sal_target targets[BATCH] = {{0}};
    for (int i = 0; i < count; i++)
        memcpy(b->inputs + (size_t)i * b->elements, b->pictures + (size_t)order[i] * b->elements,
               b->elements * sizeof(float));
    memset(b->gradients, 0xff, BATCH * b->elements * sizeof(float));
    must(sal_engine_gradient(engine, b->gradients, NULL, NULL, b->inputs, targets, count));
}

static void expect_equal(const bench *b, const int *order, int count, const char *how)
{
    for (int i = 0; i < count; i++) {
        const float *got = b->gradients + (size_t)i * b->elements;
        const float *want = b->alone + (size_t)order[i] * b->elements;
        size_t at = 0;
        while (at < b->elements && !memcmp(got + at, want + at, sizeof(float)))
            at++;
        cr_expect(at == b->elements, "%s: %s: picture %d at place %d: element %zu is %.9g, alone it is %.9g", b->name,
                  how, order[i], i, at, at < b->elements ? (double)got[at] : 0,
                  at < b->elements ? (double)want[at] : 0);
    }
}

static void compute_alone(bench *b, sal_engine *engine)
{
    for (int i = 0; i < BATCH; i++) {
        compute(b, engine, &i, 1);
        memcpy(b->alone + (size_t)i * b->elements, b->gradients, b->elements * sizeof(float));
    }
}

ParameterizedTestParameters(invariance, gradients_do_not_depend_on_neighbours)
{
    static architecture list[ARCHITECTURES_MOST];
    return cr_make_param_array(architecture, list, architecture_list(list, ARCHITECTURES_MOST));
}

ParameterizedTest(architecture *a, invariance, gradients_do_not_depend_on_neighbours)
{
    static const int forward[] = {0, 1, 2, 3};
    static const int turned[] = {2, 0, 3, 1};
    static const int twice[] = {1, 1, 0, 1};
    bench b = {0};
    if (!a->name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    bench_open(&b, a->name);
    sal_engine *engine = engine_open(&b, BATCH);
    compute_alone(&b, engine);
    compute(&b, engine, forward, BATCH);
    expect_equal(&b, forward, BATCH, "full batch");
    compute(&b, engine, turned, BATCH);
    expect_equal(&b, turned, BATCH, "full batch in another order");
    compute(&b, engine, twice, BATCH);
    expect_equal(&b, twice, BATCH, "full batch with one picture three times");
    compute(&b, engine, turned, 2);
    expect_equal(&b, turned, 2, "half a batch");
    engine_close(&b, engine);
    bench_close(&b);
}

ParameterizedTestParameters(invariance, gradients_do_not_depend_on_the_batch)
{
    static architecture list[ARCHITECTURES_MOST];
    return cr_make_param_array(architecture, list, architecture_list(list, ARCHITECTURES_MOST));
}

ParameterizedTest(architecture *a, invariance, gradients_do_not_depend_on_the_batch)
{
    bench b = {0};
    if (!a->name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    bench_open(&b, a->name);
    sal_engine *engine = engine_open(&b, 1);
    compute_alone(&b, engine);
    engine_close(&b, engine);
    for (int batch = 3; batch <= BATCH; batch++) { /* an odd and an even one: opening them is what takes the time */
        static const int forward[] = {0, 1, 2, 3};
        char how[32];
        snprintf(how, sizeof how, "engine of batch %d", batch);
        engine = engine_open(&b, batch);
        compute(&b, engine, forward, batch);
        expect_equal(&b, forward, batch, how);
        engine_close(&b, engine);
    }
    bench_close(&b);
}

/* Methods of many passes choose other ways for convolutions. */
Test(invariance, methods_of_many_passes_do_not_depend_on_the_batch)
{
    static architecture list[ARCHITECTURES_MOST];
    static const int turned[] = {2, 0, 3, 1};
    const size_t count = architecture_list(list, ARCHITECTURES_MOST);
    int tried = 0;
    if (!list[0].name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    for (size_t i = 0; i < count; i++) {
        static const sal_method_options path = {
            .size = sizeof path, .noise = SAL_DEFAULT, .name = "integrated-gradients", .steps = 2};
        bench b = {.method = &path};
        if (strcmp(list[i].name, "resnet18") != 0) /* as wide as they want it */
            continue;
        bench_open(&b, list[i].name);
        sal_engine *engine = engine_open(&b, 1);
        compute_alone(&b, engine);
        engine_close(&b, engine);
        for (int batch = 3; batch <= BATCH; batch++) {
            engine = engine_open(&b, batch);
            compute(&b, engine, turned, batch);
            expect_equal(&b, turned, batch, "integrated gradients");
            engine_close(&b, engine);
        }
        bench_close(&b);
        tried++;
    }
    cr_expect(tried == 1);
}

Test(invariance, different_pictures_have_different_gradients)
{
    static architecture list[ARCHITECTURES_MOST];
    static const int both[] = {0, 1};
    bench b = {0};
    cr_assert(architecture_list(list, ARCHITECTURES_MOST) > 0, "there is no architecture in SAL_ARCHITECTURES");
    if (!list[0].name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    bench_open(&b, list[0].name);
    sal_engine *engine = engine_open(&b, 2);
    compute(&b, engine, both, 2);
    cr_expect(memcmp(b.gradients, b.gradients + b.elements, b.elements * sizeof(float)) != 0);
    engine_close(&b, engine);
    bench_close(&b);
}
