/* What methods of several passes repeat: bit for bit what method_math.h gives on the host, and about what double
 * precision gives. What is not to be written holds NaN, and stays as it is. */
#include "conformance/cases.h"
#include "conformance/operands.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Copies -------------------------------------------------------------- */

typedef enum route { BETWEEN_EXACT, OF_A_VALUE, OF_A_GRADIENT, TO_AN_INPUT, ROUTES } route;

/* Seeds of very different sizes: where gradients are scaled, each picture is by a number of its own. */
static sal_status upload_seeds(setting *t)
{
    sal_status st = SAL_OK;
    operand *seeds;
    const sal_value value = {.type = SAL_VALUE_FLOATS, .shape = vector_shape(5), .gradient = 1, .seed = 1};
    TRY(operand_add(&seeds, t, &value));
    for (int64_t n = 0; n < t->pictures; n++)
        seeds->numbers[5 * n + n] = (float)pow(100.0, (double)(n - 1));
    TRY(operand_upload(seeds, t));
done:
    return st;
}

/* The program's value among the two, with numbers that it holds as they are. */
static sal_status fill_program_value(setting *t, operand *o)
{
    sal_value plain = o->value;
    plain.gradient = 0;
    for (size_t i = 0; i < t->elements * (size_t)t->pictures; i++)
        o->numbers[i] = (float)round_coarsely(dice_between(&t->dice, -2.0, 2.0));
    return t->s->backend->upload(t->s->device, operand_memory(o), &plain, o->numbers, t->pictures, t->pictures);
}

static sal_status run_copy(setting *t, const sal_shape *shape, route way)
{
    sal_status st = SAL_OK;
    operand *from, *to, *same;
    float *expected = NULL;
    sal_value of = exact_value(shape), into = of;
    of.exact = way == BETWEEN_EXACT || way == TO_AN_INPUT;
    of.gradient = way == OF_A_GRADIENT;
    into.exact = way != TO_AN_INPUT;
    into.picture = way == TO_AN_INPUT;
    TRY(sal_alloc(&expected, t->elements * BATCH, sizeof *expected, "numbers"));
    TRY(upload_seeds(t));
    TRY(operand_add(&from, t, &of));
    TRY(operand_add(&to, t, &into));
    if (of.exact) {
        setting_roll(from->numbers, t, t->elements * (size_t)t->pictures);
        TRY(operand_upload(from, t));
    } else {
        TRY(fill_program_value(t, from));
    }
    memcpy(expected, from->numbers, t->elements * (size_t)t->pictures * sizeof *expected);
    if (way == OF_A_GRADIENT)
        TRY(t->s->backend->download(t->s->device, expected, operand_memory(from), &from->value, t->pictures));
    if (way == TO_AN_INPUT) { /* rounded as an upload rounds */
        TRY(operand_add(&same, t, &into));
        memcpy(same->numbers, from->numbers, t->elements * (size_t)t->pictures * sizeof *expected);
        TRY(operand_upload(same, t));
        TRY(t->s->backend->download(t->s->device, expected, operand_memory(same), &same->value, t->pictures));
    }
    TRY(setting_remember(t));
    TRY(t->s->backend->methods->copy(t->s->device, operand_memory(to), &to->value, operand_memory(from), &from->value,
                                     t->pictures, BATCH));
    TRY(setting_inspect(t, to, NULL, BATCH));
    TRY(operand_check(t, to, expected, BATCH)); /* zeros after the last */
done:
    sal_free(expected);
    return st;
}

static void try_copy(suite *s, const sal_shape *shape, int64_t pictures)
{
    static const char *const names[] = {"exact", "value", "gradient", "input"};
    for (int way = 0; way < ROUTES; way++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "copy %s", names[way]))
            setting_end(&t, run_copy(&t, shape, (route)way));
    }
}

/* ---- Noise --------------------------------------------------------------- */

/* Box and Muller in double precision. */
static double normal_reference(const sal_noise *noise, uint32_t sample, size_t i)
{
    const uint32_t key[2] = {(uint32_t)noise->picture, (uint32_t)(noise->picture >> 32)};
    const uint32_t counter[4] = {(uint32_t)(i / 4), sample, (uint32_t)noise->run, (uint32_t)(noise->run >> 32)};
    uint32_t words[4];
    sal_philox(words, counter, key);
    const size_t pair = i % 4 / 2 * 2;
    const double u = ((double)(words[pair] >> 9) + 0.5) / 8388608.0, v = (double)(words[pair + 1] >> 8) / 16777216.0;
    const double angle = 2.0 * 3.14159265358979323846 * v;
    return sqrt(-2.0 * log(u)) * (i % 2 == 0 ? cos(angle) : sin(angle));
}

static sal_status run_perturb(setting *t, const sal_shape *shape, int in_place)
{
    sal_status st = SAL_OK;
    operand *x, *to;
    sal_noise noises[BATCH];
    float *expected = NULL, normals[4] = {0};
    const sal_value value = exact_value(shape);
    const uint32_t sample = (uint32_t)dice_below(&t->dice, 1000);
    TRY(sal_alloc(&expected, t->elements * BATCH, sizeof *expected, "numbers"));
    TRY(operand_add_random(&x, t, shape));
    to = x;
    if (!in_place)
        TRY(operand_add(&to, t, &value));
    for (int64_t n = 0; n < t->pictures; n++) {
        noises[n] = (sal_noise){dice_roll(&t->dice), dice_roll(&t->dice), (float)(0.3 * (double)n)};
        for (size_t i = 0; i < t->elements; i++) {
            const size_t at = (size_t)n * t->elements + i;
            if (i % 4 == 0)
                sal_noise_normals(normals, &noises[n], sample, (uint32_t)(i / 4));
            expected[at] = sal_perturbed(x->numbers[at], noises[n].deviation, normals[i % 4]);
            setting_check_near(t, i, normals[i % 4], normal_reference(&noises[n], sample, i), 4e-6);
            setting_check_near(t, i, expected[at],
                               (double)x->numbers[at] + (double)noises[n].deviation * (double)normals[i % 4],
                               6e-8 * fabs((double)expected[at]));
        }
    }
    TRY(setting_remember(t));
    TRY(t->s->backend->methods->perturb(t->s->device, operand_memory(to), operand_memory(x), &x->value, noises, sample,
                                        t->pictures));
    TRY(setting_inspect(t, to, NULL, t->pictures));
    TRY(operand_check(t, to, expected, t->pictures));
done:
    sal_free(expected);
    return st;
}

static void try_perturb(suite *s, const sal_shape *shape, int64_t pictures)
{
    for (int in_place = 0; in_place < 2; in_place++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "perturb%s", in_place ? " in place" : ""))
            setting_end(&t, run_perturb(&t, shape, in_place));
    }
}

/* ---- Between, products --------------------------------------------------- */

static sal_status run_between(setting *t, const sal_shape *shape, int from_zeros, float way)
{
    sal_status st = SAL_OK;
    operand *from = NULL, *x, *to;
    float *expected = NULL;
    const sal_value value = exact_value(shape);
    TRY(sal_alloc(&expected, t->elements * BATCH, sizeof *expected, "numbers"));
    if (!from_zeros)
        TRY(operand_add_random(&from, t, shape));
    TRY(operand_add_random(&x, t, shape));
    TRY(operand_add(&to, t, &value));
    for (size_t i = 0; i < t->elements * (size_t)t->pictures; i++) {
        const float f = from ? from->numbers[i] : 0.0f;
        const double a = (double)f, b = (double)x->numbers[i];
        expected[i] = sal_between(f, x->numbers[i], way);
        setting_check_near(t, i, expected[i], a + (double)way * (b - a), 2e-7 * (fabs(a) + fabs(b)));
    }
    TRY(setting_remember(t));
    TRY(t->s->backend->methods->between(t->s->device, operand_memory(to), operand_memory(from), operand_memory(x),
                                        &x->value, way, t->pictures));
    TRY(setting_inspect(t, to, NULL, t->pictures));
    TRY(operand_check(t, to, expected, t->pictures));
done:
    sal_free(expected);
    return st;
}

static void try_between(suite *s, const sal_shape *shape, int64_t pictures)
{
    static const float ways[] = {0.0f, 0.3f, 1.0f};
    for (int k = 0; k < 6; k++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "between %g%s", (double)ways[k / 2], k % 2 ? " from zeros" : ""))
            setting_end(&t, run_between(&t, shape, k % 2, ways[k / 2]));
    }
}

static sal_status run_multiply(setting *t, const sal_shape *shape, int from_zeros, int in_place)
{
    sal_status st = SAL_OK;
    operand *a, *x, *from = NULL, *to;
    float *expected = NULL;
    const sal_value value = exact_value(shape);
    TRY(sal_alloc(&expected, t->elements * BATCH, sizeof *expected, "numbers"));
    TRY(operand_add_random(&a, t, shape));
    TRY(operand_add_random(&x, t, shape));
    if (!from_zeros)
        TRY(operand_add_random(&from, t, shape));
    to = a;
    if (!in_place)
        TRY(operand_add(&to, t, &value));
    for (size_t i = 0; i < t->elements * (size_t)t->pictures; i++) {
        const float f = from ? from->numbers[i] : 0.0f, difference = x->numbers[i] - f;
        const double p = (double)a->numbers[i], q = (double)x->numbers[i], r = (double)f;
        expected[i] = a->numbers[i] * difference;
        setting_check_near(t, i, expected[i], p * (q - r), 2e-7 * fabs(p) * (fabs(q) + fabs(r)));
    }
    TRY(setting_remember(t));
    TRY(t->s->backend->methods->multiply(t->s->device, operand_memory(to), operand_memory(a), operand_memory(x),
                                         operand_memory(from), &x->value, t->pictures));
    TRY(setting_inspect(t, to, NULL, t->pictures));
    TRY(operand_check(t, to, expected, t->pictures));
done:
    sal_free(expected);
    return st;
}

static void try_multiply(suite *s, const sal_shape *shape, int64_t pictures)
{
    for (int k = 0; k < 4; k++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "multiply%s%s", k % 2 ? " from zeros" : "", k / 2 ? " in place" : ""))
            setting_end(&t, run_multiply(&t, shape, k % 2, k / 2));
    }
}

/* ---- Sums over passes ---------------------------------------------------- */

enum { PASSES = 4 };
static const char *const kind_names[] = {"sum", "squares", "welford"};

/* One more pass, on the host: floats as the device has them, and in double precision. */
static void add_pass(float *sum, float *spread, double *total, double *squares, float x, sal_accumulate kind,
                     float weight)
{
    if (kind == SAL_ACCUMULATE_WELFORD) {
        sal_welford(sum, spread, x, weight);
    } else if (kind == SAL_ACCUMULATE_SQUARES) {
        const float weighted = weight * x;
        *sum = fmaf(weighted, x, *sum);
    } else {
        *sum = fmaf(weight, x, *sum);
    }
    *total += (kind == SAL_ACCUMULATE_WELFORD ? 1.0 / PASSES : (double)weight) *
              (kind == SAL_ACCUMULATE_SQUARES ? (double)x * (double)x : (double)x);
    *squares += (double)x * (double)x;
}

static sal_status run_accumulate(setting *t, const sal_shape *shape, sal_accumulate kind)
{
    sal_status st = SAL_OK;
    operand *sum, *spread = NULL, *x;
    const size_t count = t->elements * (size_t)t->pictures;
    double *totals = NULL, *squares = NULL;
    TRY(sal_alloc(&totals, t->elements * BATCH, sizeof *totals, "numbers"));
    TRY(sal_alloc(&squares, t->elements * BATCH, sizeof *squares, "numbers"));
    TRY(operand_add_zeros(&sum, t, shape));
    if (kind == SAL_ACCUMULATE_WELFORD)
        TRY(operand_add_zeros(&spread, t, shape));
    TRY(operand_add_random(&x, t, shape));
    for (int pass = 0; pass < PASSES; pass++) {
        const float weight = kind == SAL_ACCUMULATE_WELFORD ? 1.0f / (float)(pass + 1) : 0.3f;
        setting_roll(x->numbers, t, count);
        TRY(operand_upload(x, t));
        for (size_t i = 0; i < count; i++)
            add_pass(&sum->numbers[i], spread ? &spread->numbers[i] : NULL, &totals[i], &squares[i], x->numbers[i],
                     kind, weight);
        TRY(setting_remember(t));
        TRY(t->s->backend->methods->accumulate(t->s->device, operand_memory(sum), operand_memory(spread),
                                               operand_memory(x), &x->value, kind, weight, t->pictures));
        TRY(setting_inspect(t, sum, spread, t->pictures));
    }
    TRY(operand_check(t, sum, sum->numbers, t->pictures));
    if (spread)
        TRY(operand_check(t, spread, spread->numbers, t->pictures));
    for (size_t i = 0; i < count; i++) {
        const double size = sqrt(squares[i]) + (kind == SAL_ACCUMULATE_SQUARES ? squares[i] : 0.0);
        setting_check_near(t, i, sum->numbers[i], totals[i], 1e-6 * size);
        if (spread)
            setting_check_near(t, i, spread->numbers[i], squares[i] - PASSES * totals[i] * totals[i],
                               2e-6 * squares[i]);
    }
done:
    sal_free(totals);
    sal_free(squares);
    return st;
}

static void try_accumulate(suite *s, const sal_shape *shape, int64_t pictures)
{
    for (int kind = 0; kind <= SAL_ACCUMULATE_WELFORD; kind++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "accumulate %s", kind_names[kind]))
            setting_end(&t, run_accumulate(&t, shape, (sal_accumulate)kind));
    }
}

/* ---- Class activation maps ----------------------------------------------- */

static const char *const cam_names[] = {"grad", "hires", "layer"};

/* One pixel; *size: the sum of what its parts are without signs. */
static double cam_reference(double *size, const float *values, const float *gradients, const sal_shape *shape,
                            sal_cam kind, size_t pixel)
{
    const size_t pixels = (size_t)(shape->dim[2] * shape->dim[3]);
    double sum = 0.0;
    *size = 0.0;
    for (size_t c = 0; c < (size_t)shape->dim[1]; c++) {
        const float *of = gradients + c * pixels;
        double weight = (double)of[pixel], mean = 0.0;
        for (size_t p = 0; p < pixels && kind == SAL_CAM_GRAD; p++)
            mean += (double)of[p];
        weight = kind == SAL_CAM_GRAD ? mean / (double)pixels : kind == SAL_CAM_LAYER && weight < 0.0 ? 0.0 : weight;
        sum += weight * (double)values[c * pixels + pixel];
        *size += fabs((double)values[c * pixels + pixel]) * (kind == SAL_CAM_GRAD ? 20.0 : fabs(weight));
    }
    return sum > 0.0 ? sum : 0.0;
}

static sal_status run_cam(setting *t, const sal_shape *shape, sal_cam kind, int with_nan)
{
    sal_status st = SAL_OK;
    operand *values, *gradients, *map;
    const size_t pixels = (size_t)(shape->dim[2] * shape->dim[3]);
    const sal_shape small = map_shape(1, shape->dim[2], shape->dim[3]);
    const sal_value value = exact_value(&small);
    float *actual = NULL;
    TRY(sal_alloc(&actual, pixels * BATCH, sizeof *actual, "numbers"));
    TRY(operand_add_random(&values, t, shape));
    TRY(operand_add_random(&gradients, t, shape));
    TRY(operand_add(&map, t, &value));
    if (with_nan) {
        gradients->numbers[0] = -INFINITY;
        TRY(operand_upload(gradients, t));
    }
    TRY(setting_remember(t));
    TRY(t->s->backend->methods->cam(t->s->device, operand_memory(map), &map->value, operand_memory(values),
                                    operand_memory(gradients), &values->value, kind, t->pictures));
    TRY(setting_inspect(t, map, NULL, t->pictures));
    TRY(t->s->backend->download(t->s->device, actual, operand_memory(map), &map->value, t->pictures));
    for (size_t i = with_nan ? pixels : 0; i < pixels * (size_t)t->pictures; i++) {
        double size;
        const size_t at = i / pixels * t->elements;
        const double expected =
            cam_reference(&size, values->numbers + at, gradients->numbers + at, shape, kind, i % pixels);
        setting_check_near(t, i, actual[i], expected, 6e-8 * expected + 1e-12 * size);
    }
    if (with_nan && isfinite(actual[0])) {
        printf("%s: an infinite gradient gives %.9g\n", t->text, (double)actual[0]);
        t->wrong = 1;
    }
done:
    sal_free(actual);
    return st;
}

static void try_cam(suite *s, const sal_shape *shape, int64_t pictures)
{
    for (int k = 0; k < 6; k++) {
        setting t;
        if (setting_begin(&t, s, shape, pictures, "cam %s%s", cam_names[k / 2], k % 2 ? " of an infinity" : ""))
            setting_end(&t, run_cam(&t, shape, (sal_cam)(k / 2), k % 2));
    }
}

/* ---- Exact values, and loss scales --------------------------------------- */

/* Floats as they are, also those that claim to be gradients while such are scaled. */
static sal_status run_exact(setting *t, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    operand *o;
    sal_value value = exact_value(shape);
    value.gradient = 1;
    TRY(operand_add(&o, t, &value));
    setting_roll(o->numbers, t, t->elements * (size_t)t->pictures);
    TRY(t->s->backend->upload(t->s->device, operand_memory(o), &o->value, o->numbers, t->pictures, BATCH));
    TRY(upload_seeds(t));
    TRY(setting_remember(t));
    TRY(setting_inspect(t, NULL, NULL, 0));
    TRY(operand_check(t, o, o->numbers, BATCH));
done:
    return st;
}

/* Gradients that stay out of range end with a scale of 1, and good ones at once. */
static sal_status run_rescale(setting *t, const sal_shape *shape, float bad)
{
    sal_status st = SAL_OK;
    operand *gradient;
    const sal_value value = {.type = SAL_VALUE_FLOATS, .shape = *shape, .gradient = 1};
    const int scaled = t->s->storage == 0x1p-11; /* half precision */
    int again = 1, count = -1;
    TRY(upload_seeds(t));
    TRY(operand_add(&gradient, t, &value));
    gradient->numbers[t->elements * (size_t)t->pictures - 1] = bad;
    for (; again && count < 10; count++) {
        TRY(operand_upload(gradient, t));
        TRY(t->s->backend->rescale(&again, t->s->device, operand_memory(gradient), &gradient->value, t->pictures));
    }
    t->wrong = isfinite(bad) || !scaled ? count != 0 : count < 1 || count == 10;
    if (t->wrong)
        printf("%s: run again %d times\n", t->text, count);
done:
    return st;
}

static void try_scales(suite *s, const sal_shape *shape, int64_t pictures)
{
    static const float ends[] = {1.0f, NAN, INFINITY, -INFINITY};
    setting t;
    if (setting_begin(&t, s, shape, pictures, "exact"))
        setting_end(&t, run_exact(&t, shape));
    for (size_t k = 0; k < COUNT_OF(ends) && s->backend->rescale; k++)
        if (setting_begin(&t, s, shape, pictures, "rescale %g", (double)ends[k]))
            setting_end(&t, run_rescale(&t, shape, ends[k]));
}

/* ---- All of them --------------------------------------------------------- */

void suite_methods(suite *s)
{
    const sal_shape shapes[] = {map_shape(1, 1, 1),  map_shape(1, 5, 7),   map_shape(3, 5, 7),   map_shape(5, 4, 4),
                                map_shape(17, 1, 3), map_shape(33, 6, 11), map_shape(3, 40, 41), vector_shape(1),
                                vector_shape(10),    vector_shape(1027)};
    if (!s->backend->methods) {
        if (suite_wants(s, "method")) {
            printf("skip: method: the back end has no rows for methods\n");
            s->skipped++;
        }
        return;
    }
    for (size_t k = 0; k < COUNT_OF(shapes); k++)
        for (int64_t pictures = 1; pictures <= BATCH; pictures++) {
            try_scales(s, &shapes[k], pictures);
            try_copy(s, &shapes[k], pictures);
            try_perturb(s, &shapes[k], pictures);
            try_between(s, &shapes[k], pictures);
            try_multiply(s, &shapes[k], pictures);
            try_accumulate(s, &shapes[k], pictures);
            if (shapes[k].rank == 4)
                try_cam(s, &shapes[k], pictures);
        }
}
