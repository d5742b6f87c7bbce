/* The real cuDNN plans every convolution of the tested architectures for a GPU that is only described, in the
 * precisions that it has. All are expected to be fused, but for what a committed table lists: a change of a graph that
 * loses a fusion fails.
 *
 *   test_planning GPU SHAPES.csv UNFUSED.csv [K/N]   exit code 0, 1, or 77 (skipped); of N plans one
 *   test_planning GPU SHAPES.csv --write             prints the GPU's rows of the table
 *   test_planning GPU SHAPES.csv --ties              whether engines round by the place in a tile, where ties of max
 *                                                    pools matter and where they do not
 *
 * A row of the table is GPU, problem and what became of it in fp32, tf32, bf16 and fp16: F one plan for all of it, U
 * the convolution alone is planned, D it is not either, - not tried: graphs that cuDNN compiles at run time take up to
 * seconds each, so those are sampled. What comes out better than the table says is told, and passes. */
#include "api/gpu_profile.h"
#include "planning/cudnn_describe.h"
#include "planning/driver_stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77, BATCH = 8, PRECISIONS = 4, MAX_LINE = 256, SAMPLE = 192, MAX_SHAPES = 1024, MAX_ROWS = 4096 };

static const size_t workspace_limit = (size_t)256 << 20;

typedef struct shape {
    cuda_conv conv;
    int number; /* of its row */
} shape;

/* What is planned of each shape. */
typedef struct form {
    const char *name;
    cudnn_graph_kind kind;
    int bias, add, float_bias;
    sal_activation activation;
    int sampled; /* compiled at run time */
} form;

static const form forms[] = {
    {"forward", CUDNN_GRAPH_FORWARD, 0, 0, 0, {0}, 0},
    {"forward bias relu", CUDNN_GRAPH_FORWARD, 1, 0, 0, {.kind = SAL_ACT_RELU}, 0},
    {"forward add bias relu", CUDNN_GRAPH_FORWARD, 1, 1, 0, {.kind = SAL_ACT_RELU}, 0},
    {"backward", CUDNN_GRAPH_BACKWARD, 0, 0, 0, {0}, 0},
    {"backward add", CUDNN_GRAPH_BACKWARD, 0, 1, 0, {0}, 1},
    {"backward relu", CUDNN_GRAPH_BACKWARD, 0, 0, 0, {.kind = SAL_ACT_RELU}, 1},
    {"backward add relu", CUDNN_GRAPH_BACKWARD, 0, 1, 0, {.kind = SAL_ACT_RELU}, 1},
    {"forward float-bias relu", CUDNN_GRAPH_FORWARD, 1, 0, 1, {.kind = SAL_ACT_RELU}, 1},
    {"forward bias clip", CUDNN_GRAPH_FORWARD, 1, 0, 0, {.kind = SAL_ACT_CLIP, .alpha = 0, .beta = 6}, 1},
    {"forward bias leaky", CUDNN_GRAPH_FORWARD, 1, 0, 0, {.kind = SAL_ACT_LEAKY_RELU, .alpha = 0.1f}, 1},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* ---- Shapes --------------------------------------------------------------- */

static int parse_shape(shape *out, const char *line)
{
    int64_t f[13];
    int used = 0;
    for (int k = 0; k < 13; k++) {
        long long value;
        int n;
        if (sscanf(line + used, "%lld,%n", &value, &n) != 1)
            return 0;
        f[k] = value;
        used += n;
    }
    cuda_conv *c = &out->conv;
    c->in = (cuda_extent){BATCH, f[1], f[2], f[0]};
    c->window = (sal_window){.kernel = {f[4], f[5]},
                             .stride = {f[6], f[7]},
                             .pad_begin = {f[8], f[9]},
                             .pad_end = {f[8], f[9]},
                             .dilation = {f[10], f[11]},
                             .groups = f[12]};
    const int64_t h = (f[1] + 2 * f[8] - f[10] * (f[4] - 1) - 1) / f[6] + 1;
    const int64_t w = (f[2] + 2 * f[9] - f[11] * (f[5] - 1) - 1) / f[7] + 1;
    c->out = (cuda_extent){BATCH, h, w, f[3]};
    return 1;
}

static int read_shapes(shape *shapes, const char *path)
{
    char line[MAX_LINE];
    int count = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (count < MAX_SHAPES && fgets(line, sizeof line, file))
        if (parse_shape(&shapes[count], line)) {
            shapes[count].number = count;
            count++;
        }
    fclose(file);
    return count;
}

/* ---- Planning --------------------------------------------------------------- */

static sal_status plan(const cudnn_target *target, const cudnn_graph_problem *problem)
{
    cudnn_graph *graph;
    sal_status st = cudnn_graph_open(&graph, target, problem, workspace_limit);
    cudnn_graph_close(graph);
    return st;
}

/* As the back end goes about it: all of it, or the convolution alone, or neither. */
static char way_of(const cudnn_target *target, const shape *s, const form *f, int precision)
{
    const cuda_type types[PRECISIONS] = {CUDA_TYPE_FLOAT, CUDA_TYPE_FLOAT, CUDA_TYPE_BFLOAT16, CUDA_TYPE_HALF};
    cudnn_graph_problem p = {.kind = f->kind,
                             .conv = s->conv,
                             .type = types[precision],
                             .bias_type = f->float_bias ? CUDA_TYPE_FLOAT : types[precision],
                             .tf32 = precision == 1,
                             .bias = f->bias,
                             .add = f->add,
                             .activation = f->activation};
    sal_status st = plan(target, &p);
    if (st == SAL_OK)
        return 'F';
    const int plain = !p.bias && !p.add && p.activation.kind == SAL_ACT_NONE;
    if (st == SAL_ERROR_UNSUPPORTED && !plain) {
        p.bias = p.add = 0;
        p.activation = (sal_activation){0};
        st = plan(target, &p);
        if (st == SAL_OK)
            return 'U';
    }
    if (st != SAL_ERROR_UNSUPPORTED)
        fprintf(stderr, "%s\n", sal_last_error());
    return st == SAL_ERROR_UNSUPPORTED ? 'D' : '!';
}

/* Of what is compiled at run time, one precision of a few shapes; more where engines are choosy: few channels (of a
 * group), and bfloat16, where they refuse early. */
static int is_left_out(const shape *s, int form_number, int precision)
{
    const form *f = &forms[form_number];
    const int choosy = s->conv.window.groups > 1 || s->conv.in.channels < 8;
    const int turn = s->number + 11 * form_number, period = choosy ? SAMPLE / 12 : SAMPLE;
    if (choosy && precision == 2 && f->sampled && f->kind == CUDNN_GRAPH_BACKWARD)
        return s->number % 4 != 0;
    return f->sampled && (turn % period != 0 || turn / period % PRECISIONS != precision);
}

typedef struct device {
    const char *name;
    sal_gpu_profile profile;
    cudnn_target target;
} device;

static int is_skipped(const device *d, const shape *s, int form_number, int precision)
{
    return d->profile.flops[SAL_PRECISION_FP32 + precision] == 0 || is_left_out(s, form_number, precision);
}

static int is_planned(const device *d, const shape *s, int form_number)
{
    int planned = 0;
    for (int k = 0; k < PRECISIONS; k++)
        planned |= !is_skipped(d, s, form_number, k);
    return planned;
}

/* 0 where no precision of it is planned. A device's lack of an arithmetic shows in its peak. */
static int plan_cell(char cell[PRECISIONS + 1], const device *d, const shape *s, int form_number)
{
    int planned = 0;
    for (int k = 0; k < PRECISIONS; k++) {
        const int left_out = is_skipped(d, s, form_number, k);
        cell[k] = left_out ? '-' : way_of(&d->target, s, &forms[form_number], k);
        planned += !left_out;
    }
    cell[PRECISIONS] = '\0';
    return planned;
}

/* ---- The table ---------------------------------------------------------------- */

typedef struct row {
    char name[MAX_LINE]; /* "n8c64h56w56k64r3s1p1 backward add" */
    char cell[PRECISIONS + 1];
    int seen;
} row;

typedef struct table {
    row rows[MAX_ROWS];
    int count;
    size_t version; /* of the cuDNN that made it */
} table;

static int read_table(table *t, const char *gpu, const char *path)
{
    char line[MAX_LINE], name[MAX_LINE];
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    int good = fgets(line, sizeof line, file) && sscanf(line, "cudnn %zu", &t->version) == 1;
    while (good && fgets(line, sizeof line, file)) {
        row *r = &t->rows[t->count];
        good = t->count < MAX_ROWS && sscanf(line, "%200[^,],%200[^,],%4[-DUF]", name, r->name, r->cell) == 3 &&
               strlen(r->cell) == PRECISIONS;
        t->count += good && strcmp(name, gpu) == 0;
    }
    fclose(file);
    return good;
}

static void row_name(char *text, size_t size, const shape *s, const form *f)
{
    char problem[MAX_LINE];
    const cudnn_graph_problem p = {.conv = s->conv};
    cudnn_graph_text(problem, sizeof problem, &p);
    snprintf(text, size, "%.*s %s", (int)strcspn(problem, " "), problem, f->name);
}

static const row *find_row(table *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->rows[i].name, name) == 0) {
            t->rows[i].seen = 1;
            return &t->rows[i];
        }
    return NULL;
}

static int rank_of(char way)
{
    const char *order = "DUF", *at = strchr(order, way);
    return at && *at ? (int)(at - order) : -1;
}

static int compare_cell(const char *name, const char *cell, const row *expected)
{
    int good = 1;
    for (int k = 0; k < PRECISIONS; k++) {
        const char wanted = expected ? expected->cell[k] : cell[k] == '-' ? '-' : 'F';
        if (cell[k] == wanted)
            continue;
        const int better = rank_of(wanted) >= 0 && rank_of(cell[k]) > rank_of(wanted);
        good &= better;
        printf("%s %s: %s in fp32, tf32, bf16, fp16, expected %s\n", better ? "better" : "FAILED", name, cell,
               expected ? expected->cell : "F");
    }
    return good;
}

static int print_exception(const device *d, const char *name, const char *cell)
{
    if (strspn(cell, "-F") != PRECISIONS)
        printf("%s,%s,%s\n", d->name, name, cell);
    return strchr(cell, '!') == NULL;
}

/* Rows that no problem has are left from another table. */
static int count_stale(const table *t)
{
    int stale = 0;
    for (int i = 0; i < t->count; i++)
        if (!t->rows[i].seen) {
            printf("FAILED %s: in the table, but not planned\n", t->rows[i].name);
            stale++;
        }
    return stale;
}

typedef struct part {
    int turn, of;
} part;

/* t NULL: prints the table instead. */
static int run(const device *d, const shape *shapes, int count, table *t, part taken)
{
    char name[MAX_LINE], cell[PRECISIONS + 1];
    int planned = 0, bad = 0;
    for (int i = 0; i < count; i++)
        for (int f = 0; f < FORMS; f++) {
            row_name(name, sizeof name, &shapes[i], &forms[f]);
            if ((i / taken.of + f) % taken.of != taken.turn) { /* so that each part has some of every form */
                if (t && is_planned(d, &shapes[i], f))
                    (void)find_row(t, name); /* not stale */
                continue;
            }
            const int precisions = plan_cell(cell, d, &shapes[i], f);
            if (precisions == 0)
                continue;
            planned += precisions;
            bad += t ? !compare_cell(name, cell, find_row(t, name)) : !print_exception(d, name, cell);
        }
    if (t) {
        bad += count_stale(t);
        printf("%s: %d problems planned, %d rows worse than expected\n", d->name, planned, bad);
    }
    return bad > 0 || planned == 0;
}

/* ---- Ties ------------------------------------------------------------------------ */

/* Whether an engine that cuDNN has for the problem is Winograd's or Fourier's. */
static sal_status ask_tiled(int *tiled, const device *d, const cudnn_graph_problem *problem, int64_t index)
{
    sal_status st = SAL_OK;
    cudnn_descriptors owned = {0};
    cudnnBackendDescriptor_t operations, engine;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    *tiled = 0;
    TRY(cudnn_describe_problem(&operations, &owned, problem, NULL));
    TRY(cudnn_descriptor_new(&engine, &owned, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
                                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operations)));
    TRY(CUDNN_CHECK(
        nvidia.cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                    1, &d->target.properties)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendFinalize(engine)));
    TRY(CUDNN_CHECK(nvidia.cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                                    CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes)));
    for (int64_t k = 0; k < count; k++)
        *tiled |= notes[k] == CUDNN_NUMERICAL_NOTE_FFT ||
                  (notes[k] >= CUDNN_NUMERICAL_NOTE_WINOGRAD && notes[k] <= CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13);
done:
    cudnn_descriptors_clear(&owned);
    return st;
}

/* Of the engine that is planned; -1: none is, or something failed. */
static int is_tiled(const device *d, const cudnn_graph_problem *problem)
{
    cudnn_graph *graph;
    int tiled = -1;
    sal_status st = cudnn_graph_open(&graph, &d->target, problem, workspace_limit);
    if (st == SAL_OK)
        st = ask_tiled(&tiled, d, problem, cudnn_graph_engine(graph));
    cudnn_graph_close(graph);
    if (st != SAL_OK && st != SAL_ERROR_UNSUPPORTED)
        printf("FAILED: %s\n", sal_last_error());
    return st == SAL_OK ? tiled : -1;
}

/* A convolution alone, and with what is fused into it. */
static int count_ties(int *tiled, const device *d, cudnn_graph_problem p)
{
    int bad = 0;
    for (int fused = 0; fused < 2; fused++) {
        char text[MAX_LINE];
        p.bias = fused;
        p.activation.kind = fused ? SAL_ACT_RELU : SAL_ACT_NONE;
        p.ties = 0;
        *tiled += is_tiled(d, &p) == 1;
        p.ties = 1;
        const int still = is_tiled(d, &p);
        bad += still != 0;
        if (still != 0)
            printf("FAILED %s: %s\n", cudnn_graph_text(text, sizeof text, &p),
                   still < 0 ? "no engine" : "rounds by the place in a tile");
    }
    return bad;
}

/* Of stride 1 and more than a pixel: the ground of these algorithms. */
static int run_ties(const device *d, const shape *shapes, int count)
{
    static const cuda_type types[PRECISIONS] = {CUDA_TYPE_FLOAT, CUDA_TYPE_FLOAT, CUDA_TYPE_BFLOAT16, CUDA_TYPE_HALF};
    int planned = 0, tiled = 0, bad = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < PRECISIONS; k++) {
            const sal_window *w = &shapes[i].conv.window;
            const cudnn_graph_problem p = {
                .conv = shapes[i].conv, .type = types[k], .bias_type = types[k], .tf32 = k == 1};
            if (w->stride[0] != 1 || w->kernel[0] == 1 || w->groups != 1 ||
                d->profile.flops[SAL_PRECISION_FP32 + k] == 0)
                continue;
            planned += 2;
            bad += count_ties(&tiled, d, p);
        }
    printf("%s: %d convolutions planned, %d in tiles where ties do not matter, %d wrong where they do\n", d->name,
           planned, tiled, bad);
    return bad > 0 || planned == 0;
}

static int open_device(device *d, const char *name)
{
    d->name = name;
    if (sal_gpu_profile_open(&d->profile, name) == SAL_OK &&
        cudnn_target_describe(&d->target.properties, d->profile.cudnn) == SAL_OK)
        return 1;
    printf("FAILED: %s\n", sal_last_error());
    return 0;
}

int main(int argc, char **argv)
{
    static shape shapes[MAX_SHAPES];
    static table expected;
    device d = {0};
    part taken = {0, 1};
    char more;
    if (argc < 4 || argc > 5 || (argc == 5 && sscanf(argv[4], "%d/%d%c", &taken.turn, &taken.of, &more) != 2) ||
        taken.turn < 0 || taken.of <= taken.turn)
        return 2;
    const int count = read_shapes(shapes, argv[2]), ties = strcmp(argv[3], "--ties") == 0;
    const int write = strcmp(argv[3], "--write") == 0;
    if (count == 0 || (!write && !ties && !read_table(&expected, argv[1], argv[3]))) {
        printf("FAILED: %s has no shapes, or %s is no table\n", argv[2], argv[3]);
        return 1;
    }
    if (cuda_nvidia_open() != SAL_OK) {
        printf("skipped: %s\n", sal_last_error());
        return SKIPPED;
    }
    if (nvidia.cudnnGetVersion() < expected.version) {
        printf("skipped: the table is of cuDNN %zu, here is %zu\n", expected.version, nvidia.cudnnGetVersion());
        return SKIPPED;
    }
    if (!cuda_driver_stand_in()) {
        printf("skipped: the driver's stand-in cannot be loaded here\n");
        return SKIPPED;
    }
    const int code = !open_device(&d, argv[1]) ||
                     (ties ? run_ties(&d, shapes, count) : run(&d, shapes, count, write ? NULL : &expected, taken));
    if (d.target.properties)
        (void)nvidia.cudnnBackendDestroyDescriptor(d.target.properties);
    sal_gpu_profile_clear(&d.profile);
    return code;
}
