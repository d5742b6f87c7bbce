/* Keras files against Keras itself in double precision, through the public header alone: the files of
 * scripts/make_keras_cases.py or, where SAL_KERAS names a folder, those that scripts/check_keras_applications.py put
 * there; then what was measured is added to the file that SAL_KERAS_TABLE names. Networks with max pools also get
 * pictures that are flat in places. Networks that refused.txt names are refused with the words that stand there. */
#include "golden/compare.h"
#include "golden/npy_file.h"

#include <salmap/salmap.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MOST = 1024, FILE_NAME = 96, FILES = 380, FILES_FLAT = 50 };

static const double tolerance = 1e-5;
static const double half_tolerance = 5e-3; /* policies of half precision: what a reader may round */
static const double own_error_factor = 4;  /* large networks: of the error of Keras's own float32 */
static const double large_scores = 1e-4;   /* of which this is the most */
static const double kinked_tolerance = 1e-2, kinked_cosine = 1e-4; /* the latter: 1 - cosine */

typedef struct keras_file {
    char name[FILE_NAME]; /* "branches.k2.h5" */
} keras_file;

typedef struct reference {
    npy_file input;    /* (C, H, W) */
    npy_file scores;   /* (outputs) */
    npy_file gradient; /* (C, H, W) */
    double score_tolerance;
    double gradient_tolerance;
    int kinked; /* large networks whose gradient is not continuous: kinked_tolerance and kinked_cosine count */
} reference;

static const char *root(void)
{
    const char *folder = getenv("SAL_KERAS");
    return folder && *folder ? folder : SAL_KERAS_CASES;
}

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", root(), name);
    return path;
}

/* "NAME.scores.npy" beside "NAME.k2.h5". */
static const char *path_beside(const char *name, const char *what)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%.*s.%s.npy", root(), (int)strcspn(name, "."), name, what);
    return path;
}

static int is_model(const char *name)
{
    const char *end = strrchr(name, '.');
    return name[0] != '.' && end && (!strcmp(end, ".keras") || !strcmp(end, ".h5") || !strcmp(end, ".hdf5"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const keras_file *)a)->name, ((const keras_file *)b)->name);
}

static size_t list_files(keras_file *out, size_t most)
{
    size_t count = 0;
    DIR *folder = opendir(root());
    for (const struct dirent *e; folder && count < most && (e = readdir(folder));)
        if (is_model(e->d_name) && strlen(e->d_name) < FILE_NAME)
            strcpy(out[count++].name, e->d_name);
    if (folder)
        closedir(folder);
    qsort(out, count, sizeof *out, by_name);
    return count;
}

static double large_score_tolerance(double own)
{
    return fmin(large_scores, fmax(tolerance, own_error_factor * own));
}

static void set_tolerances(reference *r, const char *name)
{
    npy_file own = {0};
    FILE *f = fopen(path_beside(name, "float32"), "rb");
    r->score_tolerance = r->gradient_tolerance = strstr(name, "float16") ? half_tolerance : tolerance;
    if (!f)
        return;
    fclose(f);
    cr_assert(npy_file_read(&own, path_beside(name, "float32")) && own.count == 3);
    r->score_tolerance = large_score_tolerance(own.values[0]);
    r->gradient_tolerance = fmax(tolerance, own_error_factor * own.values[1]);
    r->kinked = own.values[2] != 0;
    free(own.values);
}

static void read_reference(reference *r, const char *name)
{
    cr_assert(npy_file_read(&r->input, path_beside(name, "input")), "%s: no input", name);
    cr_assert(npy_file_read(&r->scores, path_beside(name, "scores")), "%s: no scores", name);
    cr_assert(npy_file_read(&r->gradient, path_beside(name, "gradient")), "%s: no gradient", name);
    cr_assert(r->input.rank == 3 && r->scores.rank == 1 && r->gradient.count == r->input.count, "%s: shapes", name);
    set_tolerances(r, name);
}

static void check_info(const sal_model *model, const reference *r, const char *name)
{
    sal_model_info info = SAL_MODEL_INFO_INIT;
    cr_assert_eq(sal_model_get_info(&info, model), SAL_OK, "%s: %s", name, sal_last_error());
    cr_expect_eq(strncmp(info.format, "Keras", 5), 0, "%s: format '%s'", name, info.format);
    const int first = strncmp(name, "channels_first", 14) == 0 || strstr(name, "_th_");
    cr_expect_eq(info.channels_last, !first, "%s: channels last: %d", name, info.channels_last);
    cr_expect(info.supported, "%s: a layer is not supported", name);
    cr_assert(info.channels == r->input.dim[0] && info.height == r->input.dim[1] && info.width == r->input.dim[2],
              "%s: input %lld x %lld x %lld, not %lld x %lld x %lld", name, (long long)info.channels,
              (long long)info.height, (long long)info.width, (long long)r->input.dim[0], (long long)r->input.dim[1],
              (long long)r->input.dim[2]);
    cr_assert_eq(info.outputs, (int64_t)r->scores.count, "%s: %lld outputs, not %zu", name, (long long)info.outputs,
                 r->scores.count);
}

static int64_t largest(const double *scores, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best])
            best = i;
    return (int64_t)best;
}

/* A line of the table: name, scores, gradient, 1 - cosine. */
static void note(const char *name, double scores, double gradient, double cosine)
{
    const char *path = getenv("SAL_KERAS_TABLE");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (f) {
        fprintf(f, "%s %.3e %.3e %.3e\n", name, scores, gradient, cosine);
        fclose(f);
    }
}

static int near_with_kinks(double distance, double cosine)
{
    return within(distance, kinked_tolerance) && within(cosine, kinked_cosine);
}

/* Buffers start as NaN: what is not written does not pass. */
static void check_results(sal_model *model, const reference *r, const char *name)
{
    const sal_engine_options options = {
        .size = sizeof(sal_engine_options), .device = "cpu", .batch = 1, .threads = 1, .exact = 1};
    const sal_target target = {0};
    sal_engine *engine;
    int64_t chosen = -2;
    float *pixels = npy_file_floats(&r->input);
    float *gradient = malloc(r->gradient.count * sizeof *gradient);
    float *scores = malloc(r->scores.count * sizeof *scores);
    cr_assert(pixels && gradient && scores);
    memset(gradient, 0xff, r->gradient.count * sizeof *gradient);
    memset(scores, 0xff, r->scores.count * sizeof *scores);
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s: %s", name, sal_last_error());
    cr_assert_eq(sal_engine_gradient(engine, gradient, scores, &chosen, pixels, &target, 1), SAL_OK, "%s: %s", name,
                 sal_last_error());
    sal_engine_close(engine);
    const double score_distance = relative_max(scores, r->scores.values, r->scores.count);
    const double gradient_distance = relative_l2(gradient, r->gradient.values, r->gradient.count);
    const int64_t expected = largest(r->scores.values, r->scores.count);
    cr_expect_eq(chosen, expected, "%s: output %lld was chosen, not %lld", name, (long long)chosen,
                 (long long)expected);
    cr_expect(within(score_distance, r->score_tolerance), "%s: scores are off by %g of the largest (%g for %g)", name,
              score_distance, (double)scores[0], r->scores.values[0]);
    const double cosine = cosine_distance(gradient, r->gradient.values, r->gradient.count);
    const int fine =
        r->kinked ? near_with_kinks(gradient_distance, cosine) : within(gradient_distance, r->gradient_tolerance);
    cr_expect(fine, "%s: the gradient is off by %g, tolerance %g, 1 - cosine %g", name, gradient_distance,
              r->gradient_tolerance, cosine);
    note(name, score_distance, gradient_distance, cosine);
    free(pixels);
    free(gradient);
    free(scores);
}

/* ---- Flat pictures ---------------------------------------------------------- */

typedef struct flat_reference {
    npy_file input;    /* (N, C, H, W): pictures that are flat in places */
    npy_file scores;   /* (N, outputs) */
    npy_file gradient; /* (N, C, H, W) */
    npy_file own;      /* (N, 2): the errors of Keras's own float32, of large networks; or nothing */
} flat_reference;

static int is_there(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    return f != NULL;
}

static void read_flat_reference(flat_reference *r, const char *name)
{
    cr_assert(npy_file_read(&r->input, path_beside(name, "flat_input")) && r->input.rank == 4);
    cr_assert(npy_file_read(&r->scores, path_beside(name, "flat_scores")), "%s: no scores", name);
    cr_assert(npy_file_read(&r->gradient, path_beside(name, "flat_gradient")), "%s: no gradient", name);
    cr_assert(r->scores.rank == 2 && r->scores.dim[0] == r->input.dim[0] && r->gradient.count == r->input.count,
              "%s: shapes", name);
    if (!is_there(path_beside(name, "float32")))
        return;
    cr_assert(npy_file_read(&r->own, path_beside(name, "flat_float32")) && r->own.rank == 2 &&
                  r->own.dim[0] == r->input.dim[0] && r->own.dim[1] == 2,
              "%s: no errors of Keras's float32", name);
}

/* Max pools take the first of equals, as Keras's do. */
static void check_flat_picture(const flat_reference *r, int64_t k, const float *gradient, const float *scores,
                               int64_t chosen, const char *name, int way)
{
    const size_t pixels = r->input.count / (size_t)r->input.dim[0];
    const size_t outputs = (size_t)r->scores.dim[1];
    const double *want = r->gradient.values + (size_t)k * pixels;
    const double *want_scores = r->scores.values + (size_t)k * outputs;
    const double score_distance = relative_max(scores, want_scores, outputs);
    const double distance = relative_l2(gradient, want, pixels);
    const double cosine = cosine_distance(gradient, want, pixels);
    const double most = r->own.values ? large_score_tolerance(r->own.values[2 * k]) : tolerance;
    char title[FILE_NAME + 64];
    snprintf(title, sizeof title, "%s:flat-%d-%d", name, (int)k, way);
    cr_expect_eq(chosen, largest(want_scores, outputs), "%s: output %lld was chosen", title, (long long)chosen);
    cr_expect(within(score_distance, most), "%s: scores are off by %g of the largest, tolerance %g", title,
              score_distance, most);
    cr_expect(r->own.values ? near_with_kinks(distance, cosine) : within(distance, tolerance),
              "%s: the gradient is off by %g, 1 - cosine %g", title, distance, cosine);
    note(title, score_distance, distance, cosine);
}

/* way 0: one pass, 1: one of many, for which convolutions may be computed otherwise; a sample without noise is the
 * gradient. Neither is exact: direct convolutions break no ties. */
static void check_flat_way(sal_model *model, const flat_reference *r, const char *name, int way)
{
    static const sal_method_options noiseless = {
        .size = sizeof noiseless, .name = "smoothgrad", .samples = 1, .noise = 0.0};
    const int64_t count = r->input.dim[0];
    const sal_engine_options options = {.size = sizeof(sal_engine_options),
                                        .device = "cpu",
                                        .batch = count,
                                        .threads = 1,
                                        .method = way ? &noiseless : NULL};
    sal_engine *engine;
    float *pixels = npy_file_floats(&r->input);
    float *gradients = malloc(r->gradient.count * sizeof *gradients);
    float *scores = malloc(r->scores.count * sizeof *scores);
    sal_target *targets = calloc((size_t)count, sizeof *targets);
    int64_t *chosen = calloc((size_t)count, sizeof *chosen);
    cr_assert(pixels && gradients && scores && targets && chosen);
    memset(gradients, 0xff, r->gradient.count * sizeof *gradients);
    memset(scores, 0xff, r->scores.count * sizeof *scores);
    cr_assert_eq(sal_engine_open(&engine, model, &options), SAL_OK, "%s: %s", name, sal_last_error());
    cr_assert_eq(sal_engine_gradient(engine, gradients, scores, chosen, pixels, targets, count), SAL_OK, "%s: %s", name,
                 sal_last_error());
    sal_engine_close(engine);
    for (int64_t k = 0; k < count; k++)
        check_flat_picture(r, k, gradients + k * (int64_t)r->input.count / count, scores + k * r->scores.dim[1],
                           chosen[k], name, way);
    free(pixels);
    free(gradients);
    free(scores);
    free(targets);
    free(chosen);
}

static void check_flat(sal_model *model, const char *name)
{
    flat_reference r = {0};
    if (!is_there(path_beside(name, "flat_input")))
        return;
    read_flat_reference(&r, name);
    for (int way = 0; way < 2; way++)
        check_flat_way(model, &r, name, way);
    free(r.input.values);
    free(r.scores.values);
    free(r.gradient.values);
    free(r.own.values);
}

/* What follows the file's NAME in refused.txt: words of the message with which it is refused; NULL: it is not. */
static const char *refusal(const char *name)
{
    static char line[256];
    const size_t length = strcspn(name, ".");
    const char *words = NULL;
    FILE *f = fopen(path_of("refused.txt"), "r");
    while (f && !words && fgets(line, sizeof line, f))
        if (!strncmp(line, name, length) && line[length] == ' ')
            words = line + length + 1;
    if (f)
        fclose(f);
    line[strcspn(line, "\n")] = 0;
    return words;
}

static void check_refusal(const char *name, const char *words)
{
    const sal_engine_options options = {.size = sizeof(sal_engine_options), .device = "cpu", .batch = 1, .threads = 1};
    sal_model *model = NULL;
    sal_engine *engine = NULL;
    sal_status st = sal_model_open(&model, path_of(name), NULL);
    if (st == SAL_OK)
        st = sal_engine_open(&engine, model, &options);
    cr_expect_eq(st, SAL_ERROR_UNSUPPORTED, "%s: %s, though refused.txt names it", name, sal_status_name(st));
    if (st != SAL_OK)
        cr_expect_not_null(strstr(sal_last_error(), words), "%s: '%s' lacks '%s'", name, sal_last_error(), words);
    sal_engine_close(engine);
    sal_model_close(model);
}

/* "NAME.options" beside "NAME.k2.h5": lines of "output NAME", "layer NAME" and "input-size HxW". */
static void read_options(sal_model_options *o, const char *name)
{
    static char path[4096], lines[3][128], word[32];
    snprintf(path, sizeof path, "%s/%.*s.options", root(), (int)strcspn(name, "."), name);
    FILE *f = fopen(path, "r");
    *o = (sal_model_options){.size = sizeof(sal_model_options), .output = NULL};
    for (int i = 0; f && i < 3 && fscanf(f, "%31s %127s", word, lines[i]) == 2; i++) {
        if (!strcmp(word, "output"))
            o->output = lines[i];
        else if (!strcmp(word, "layer"))
            o->layer = lines[i];
        else
            cr_assert(!strcmp(word, "input-size") &&
                      sscanf(lines[i], "%" SCNd64 "x%" SCNd64, &o->height, &o->width) == 2);
    }
    if (f)
        fclose(f);
}

static void check_accepted(const char *name)
{
    reference r = {0};
    sal_model *model;
    sal_model_options options = SAL_MODEL_OPTIONS_INIT;
    read_reference(&r, name);
    read_options(&options, name);
    cr_assert_eq(sal_model_open_with(&model, path_of(name), &options), SAL_OK, "%s: %s", name, sal_last_error());
    check_info(model, &r, name);
    check_results(model, &r, name);
    check_flat(model, name);
    sal_model_close(model);
    free(r.input.values);
    free(r.scores.values);
    free(r.gradient.values);
}

ParameterizedTestParameters(keras, agrees_with_keras_in_double_precision)
{
    static keras_file list[FILES_MOST];
    size_t count = list_files(list, FILES_MOST);
    /* A sample: every Nth file. */
    const char *text = getenv("SAL_KERAS_EVERY");
    const size_t every = text && atoi(text) > 1 ? (size_t)atoi(text) : 1;
    for (size_t i = 0; i * every < count; i++)
        list[i] = list[i * every];
    count = (count + every - 1) / every;
    return cr_make_param_array(keras_file, list, count);
}

ParameterizedTest(keras_file *file, keras, agrees_with_keras_in_double_precision)
{
    const char *words = refusal(file->name);
    if (words)
        check_refusal(file->name, words);
    else
        check_accepted(file->name);
}

/* Readers are processes; each inherits what the others' masters hold open. */
static void *open_often(void *failures)
{
    for (int i = 0; i < 40; i++) {
        sal_model *model;
        const char *name = i % 2 ? "named_as_vgg.keras" : "outputs_two.h5";
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", SAL_KERAS_CASES, name);
        if (sal_model_open(&model, path, NULL) != SAL_OK)
            ++*(int *)failures;
        sal_model_close(model);
    }
    return NULL;
}

Test(keras, files_open_in_many_threads_at_once, .timeout = 120)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the sanitizer's allocator stays locked in a process that another thread forks");
#endif
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int failures[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, open_often, &failures[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(failures[i], 0, "%d files could not be opened", failures[i]);
    }
}

Test(keras, every_file_is_there)
{
    static keras_file list[FILES_MOST];
    const size_t count = list_files(list, FILES_MOST);
    size_t flat = 0;
    cr_assert(getenv("SAL_KERAS") ? count > 0 : count == FILES, "%zu model files in %s", count, root());
    for (size_t i = 0; i < count; i++)
        flat += is_there(path_beside(list[i].name, "flat_input")) != 0;
    cr_assert(getenv("SAL_KERAS") || flat == FILES_FLAT, "%zu model files with flat pictures", flat);
}
