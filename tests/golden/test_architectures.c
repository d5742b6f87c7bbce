/* Whole networks against PyTorch in double precision, through the public header alone:
 * the networks, inputs and references are those of scripts/make_architectures.py. */
#include "golden/architecture.h"
#include "golden/compare.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Tolerances. PyTorch's own float32 error is the yardstick for the smooth networks: a sum of a thousand
 * products has no better answer. Winograd's transforms cost another digit. */
static const double score_tolerance = 1e-5;
static const double exact_factor = 4;
static const double exact_floor = 1e-5;
static const double default_tolerance = 1e-4;
/* Networks with kinks. A unit within float32's rounding of its kink falls to either side, as the processor's order of
 * additions has it, and moves the gradient of that picture; the pictures are those where that hardly matters. */
static const double kinked_tolerance = 1e-2;
static const double cosine_tolerance = 1e-4;
static const double level_tolerance = 2;
/* Pictures that are flat in places: kinks as above, and each as often as the picture repeats itself. Those count where
 * PyTorch's float32 is nearer than this to the double result, and whose gradient moves by no more than half of the
 * tolerance above when the picture moves by what float32 rounds. */
static const double flat_steady = 1e-3;
static const double flat_moved = 5e-3;

typedef struct distance {
    double l2;     /* of the gradients */
    double cosine; /* 1 - cosine */
    double levels; /* of the smoothed, normalised map, in steps of 1/255 */
} distance;

enum { PICTURES_MOST = 8 };

typedef struct outcome {
    double score;   /* relative to the largest score */
    distance worst; /* of the pictures */
    distance each[PICTURES_MOST];
} outcome;

#define must(call)                                                                                                     \
    do {                                                                                                               \
        const sal_status status_ = (call);                                                                             \
        cr_assert(status_ == SAL_OK, "%s: %s", #call, sal_last_error());                                               \
    } while (0)

static double compare_maps(const reference *r, const float *gradient, const double *want)
{
    const int64_t height = r->inputs.dim[2];
    const int64_t width = r->inputs.dim[3];
    const size_t pixels = (size_t)(height * width);
    const sal_map_options options = SAL_MAP_OPTIONS_INIT;
    sal_map_stats stats;
    float *rounded = malloc(r->elements * sizeof *rounded);
    float *maps = malloc(2 * pixels * sizeof *maps);
    cr_assert(rounded && maps);
    for (size_t i = 0; i < r->elements; i++)
        rounded[i] = (float)want[i];
    must(sal_map_make(maps, &stats, gradient, r->inputs.dim[1], height, width, &options));
    must(sal_map_make(maps + pixels, &stats, rounded, r->inputs.dim[1], height, width, &options));
    const double levels = map_levels(maps, maps + pixels, pixels);
    free(rounded);
    free(maps);
    return levels;
}

static void compare(outcome *out, const reference *r, const float *gradients, const float *scores)
{
    memset(out, 0, sizeof *out);
    cr_assert(r->count <= PICTURES_MOST);
    out->score = relative_max(scores, r->scores.values, r->scores.count);
    for (int64_t i = 0; i < r->count; i++) {
        const float *got = gradients + (size_t)i * r->elements;
        const double *want = r->gradients.values + (size_t)i * r->elements;
        const distance d = {relative_l2(got, want, r->elements), cosine_distance(got, want, r->elements),
                            compare_maps(r, got, want)};
        out->each[i] = d;
        out->worst = (distance){worse(out->worst.l2, d.l2), worse(out->worst.cosine, d.cosine),
                                worse(out->worst.levels, d.levels)};
    }
}

static int64_t largest(const double *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return (int64_t)best;
}

/* $SAL_TEST_DEVICE, if set: in fp32, and in one way only, since --exact is a matter of CPUs. */
static const char *tested_device(void)
{
    const char *name = getenv("SAL_TEST_DEVICE");
    return name ? name : "cpu";
}

static int is_cpu(void)
{
    return strcmp(tested_device(), "cpu") == 0;
}

/* How convolutions are computed. */
typedef enum way { STANDARD, EXACT, MANY_PASSES } way;

/* Explains the predicted score of both pictures. Buffers start as NaN: what is not written does not pass. Of many
 * passes: a sample without noise, which is the gradient. */
static void explain(outcome *out, const reference *r, const char *path, way how)
{
    static const sal_method_options noiseless = {
        .size = sizeof noiseless, .name = "smoothgrad", .samples = 1, .noise = 0.0};
    sal_engine_options options = {.size = sizeof(sal_engine_options),
                                  .device = tested_device(),
                                  .batch = r->count,
                                  .threads = 2,
                                  .exact = how == EXACT,
                                  .precision = is_cpu() ? SAL_PRECISION_DEFAULT : SAL_PRECISION_FP32};
    if (how == MANY_PASSES)
        options.method = &noiseless;
    sal_model *model;
    sal_engine *engine;
    float *gradients = malloc(r->inputs.count * sizeof *gradients);
    float *scores = malloc(r->scores.count * sizeof *scores);
    sal_target *targets = calloc((size_t)r->count, sizeof *targets);
    int64_t *chosen = calloc((size_t)r->count, sizeof *chosen);
    cr_assert(gradients && scores && targets && chosen);
    memset(gradients, 0xff, r->inputs.count * sizeof *gradients);
    memset(scores, 0xff, r->scores.count * sizeof *scores);
    must(sal_model_open(&model, path, NULL));
    must(sal_engine_open(&engine, model, &options));
    must(sal_engine_gradient(engine, gradients, scores, chosen, r->pixels, targets, r->count));
    sal_engine_close(engine);
    sal_model_close(model);
    for (int64_t i = 0; i < r->count; i++)
        cr_expect_eq(chosen[i], largest(r->scores.values + (size_t)i * r->outputs, r->outputs),
                     "%s: picture %d: output %d was chosen", path, (int)i, (int)chosen[i]);
    compare(out, r, gradients, scores);
    free(gradients);
    free(scores);
    free(targets);
    free(chosen);
}

static void explain_file(outcome *exact, outcome *standard, const char *name, const char *file, const char *prefix)
{
    reference r;
    cr_assert(reference_read(&r, name, prefix), "%s: the references cannot be read", name);
    explain(standard, &r, architecture_path(name, "", file), STANDARD);
    if (is_cpu())
        explain(exact, &r, architecture_path(name, "", file), EXACT);
    else
        *exact = *standard;
    reference_clear(&r);
}

/* Networks of which many convolutions are as wide as our own Winograd wants them. */
static int is_wide(const char *name)
{
    return strncmp(name, "vgg", 3) == 0 || strncmp(name, "resnet", 6) == 0;
}

static const char *result_path(const char *name)
{
    return architecture_path(name, "", is_cpu() ? "result.csv" : "result_device.csv");
}

static void write_row(const char *name, double score, const outcome *exact, double torch, const outcome *standard,
                      const outcome *kinked)
{
    FILE *f = fopen(result_path(name), "w");
    cr_assert(f, "%s: the result cannot be written", name);
    fprintf(f, "%s,%.2e,%.2e,%.2e,%.2e,%.8f,%.2e,%.0f\n", name, score, exact->worst.l2, torch, standard->worst.l2,
            1 - kinked->worst.cosine, kinked->worst.l2, kinked->worst.levels);
    cr_assert_eq(fclose(f), 0);
}

ParameterizedTestParameters(architectures, agree_with_double_precision)
{
    static architecture list[ARCHITECTURES_MOST];
    return cr_make_param_array(architecture, list, architecture_list(list, ARCHITECTURES_MOST));
}

ParameterizedTest(architecture *a, architectures, agree_with_double_precision)
{
    outcome smooth_exact;
    outcome smooth;
    outcome kinked_exact;
    outcome kinked;
    if (!a->name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    explain_file(&smooth_exact, &smooth, a->name, "smooth.onnx", "smooth_");
    explain_file(&kinked_exact, &kinked, a->name, "model.onnx", "");
    const double torch = architecture_meta(a->name, "smooth_", "gradient");
    const double score = worse(worse(smooth_exact.score, smooth.score), worse(kinked_exact.score, kinked.score));
    write_row(a->name, score, &smooth_exact, torch, &smooth, &kinked);

    cr_expect(within(score, score_tolerance), "%s: scores are off by %g of the largest", a->name, score);
    cr_expect(within(smooth_exact.worst.l2, fmax(exact_factor * torch, exact_floor)),
              "%s: smooth network, direct convolutions: gradients are off by %g, PyTorch's by %g", a->name,
              smooth_exact.worst.l2, torch);
    cr_expect(within(smooth.worst.l2, default_tolerance), "%s: smooth network: gradients are off by %g", a->name,
              smooth.worst.l2);
    if (is_cpu() && is_wide(a->name)) {
        reference r;
        outcome many;
        cr_assert(reference_read(&r, a->name, "smooth_"));
        explain(&many, &r, architecture_path(a->name, "", "smooth.onnx"), MANY_PASSES);
        reference_clear(&r);
        cr_expect(within(many.worst.l2, default_tolerance), "%s: of many passes: gradients are off by %g", a->name,
                  many.worst.l2);
        cr_expect(within(many.score, score_tolerance), "%s: of many passes: scores are off by %g", a->name, many.score);
    }
    const outcome *both[] = {&kinked_exact, &kinked};
    for (int i = 0; i < 2; i++) {
        const char *how = i ? "default" : "direct";
        const distance *worst = &both[i]->worst;
        cr_expect(within(worst->cosine, cosine_tolerance), "%s (%s): the cosine to the gradients is 1 - %g", a->name,
                  how, worst->cosine);
        cr_expect(within(worst->l2, kinked_tolerance), "%s (%s): gradients are off by %g", a->name, how, worst->l2);
        cr_expect(within(worst->levels, level_tolerance), "%s (%s): a map's pixel is off by %g levels", a->name, how,
                  worst->levels);
    }
}

/* ---- Flat pictures ---------------------------------------------------------- */

/* Max pools take the first of equals, as PyTorch's do; one that takes another is off by 0.1 to 1. How many pictures
 * count.
 */
static int expect_flat(const char *name, const reference *r, way how)
{
    outcome flat;
    int steady = 0;
    explain(&flat, r, architecture_path(name, "", "model.onnx"), how);
    for (int64_t i = 0; i < r->count; i++) {
        char key[32];
        snprintf(key, sizeof key, "gradient_%d", (int)i);
        const double torch = architecture_meta(name, "flat_", key);
        cr_assert(torch >= 0, "%s: meta.txt has no flat_%s", name, key);
        snprintf(key, sizeof key, "moved_%d", (int)i);
        const double moved = architecture_meta(name, "flat_", key);
        cr_assert(moved >= 0, "%s: meta.txt has no flat_%s", name, key);
        printf("%s flat picture %d, way %d: %.1e and %.1f levels (PyTorch's float32: %.1e, moves by %.1e)\n", name,
               (int)i, (int)how, flat.each[i].l2, flat.each[i].levels, torch, moved);
        if (torch > flat_steady || moved > flat_moved)
            continue;
        steady++;
        cr_expect(within(flat.each[i].l2, kinked_tolerance), "%s: flat picture %d (way %d): gradients are off by %g",
                  name, (int)i, (int)how, flat.each[i].l2);
        cr_expect(within(flat.each[i].levels, level_tolerance),
                  "%s: flat picture %d (way %d): a map's pixel is off by %g levels", name, (int)i, (int)how,
                  flat.each[i].levels);
    }
    return steady;
}

ParameterizedTestParameters(architectures, agree_where_pictures_are_flat)
{
    static architecture list[ARCHITECTURES_MOST];
    return cr_make_param_array(architecture, list, architecture_list(list, ARCHITECTURES_MOST));
}

/* Of networks with max pools. On the emulated device, whose loops are plain, it would show nothing. */
ParameterizedTest(architecture *a, architectures, agree_where_pictures_are_flat)
{
    reference r;
    if (!a->name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    if (!is_cpu() || !(architecture_meta(a->name, "flat_", "gradient_0") >= 0))
        return;
    cr_assert(reference_read(&r, a->name, "flat_"), "%s: the references cannot be read", a->name);
    cr_expect(expect_flat(a->name, &r, STANDARD) >= 3, "%s: fewer than three pictures are steady", a->name);
    if (is_wide(a->name))
        expect_flat(a->name, &r, MANY_PASSES);
    reference_clear(&r);
}

Test(architectures, folder_is_not_empty)
{
    static architecture list[ARCHITECTURES_MOST];
    if (architecture_list(list, ARCHITECTURES_MOST) == 1 && !list[0].name[0])
        cr_skip_test("SAL_ARCHITECTURES names no folder of scripts/make_architectures.py");
    cr_assert(architecture_list(list, ARCHITECTURES_MOST) > 0, "there is no architecture in SAL_ARCHITECTURES");
}

/* The rows of all tests, which ran in processes of their own, as one file and one table. */
static int copy_row(FILE *csv, const char *name)
{
    char row[256];
    FILE *f = fopen(result_path(name), "r");
    const int there = f && fgets(row, sizeof row, f);
    if (there) {
        fputs(row, csv);
        fputs(row, stdout);
    }
    if (f)
        fclose(f);
    return there;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    static architecture list[ARCHITECTURES_MOST];
    const size_t count = architecture_list(list, ARCHITECTURES_MOST);
    (void)tests;
    for (size_t i = 0; i < count && list[i].name[0]; i++)
        remove(result_path(list[i].name));
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    static architecture list[ARCHITECTURES_MOST];
    static const char head[] = "network,scores,smooth direct,PyTorch float32,smooth default,ReLU cosine,ReLU "
                               "distance,map levels\n";
    const size_t count = architecture_list(list, ARCHITECTURES_MOST);
    FILE *csv = count && list[0].name[0]
                    ? fopen(architecture_path("", "", is_cpu() ? "accuracy.csv" : "accuracy_device.csv"), "w")
                    : NULL;
    (void)stats;
    if (!csv)
        return;
    fputs(head, csv);
    fputs(head, stdout);
    for (size_t i = 0; i < count; i++)
        copy_row(csv, list[i].name);
    fclose(csv);
    fflush(stdout);
}
