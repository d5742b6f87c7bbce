/* What methods of several passes repeat, on exact values: plain floats. */
#include "backend/cpu/cpu.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Elements that one thread takes at a time: whole groups of noise. */
enum { PIECE = 1 << 14 };

/* What one thread does with n elements of a picture, from number `from` on. */
typedef void piece_work(const void *job, int64_t picture, size_t from, size_t n);

static void each_piece(const sal_device *d, const sal_value *v, int64_t pictures, piece_work *work, const void *job)
{
    const size_t elements = (size_t)sal_shape_elements(&v->shape);
    const int64_t pieces = (int64_t)((elements + PIECE - 1) / PIECE);
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t picture = 0; picture < pictures; picture++)
        for (int64_t piece = 0; piece < pieces; piece++) {
            const size_t from = (size_t)piece * PIECE;
            work(job, picture, from, elements - from < PIECE ? elements - from : PIECE);
        }
}

/* Element `from` of a picture. */
static float *at(void *memory, const sal_value *v, int64_t picture, size_t from)
{
    return (float *)memory + (size_t)picture * cpu_stride(v) + from;
}

static const float *const_at(const void *memory, const sal_value *v, int64_t picture, size_t from)
{
    return memory ? (const float *)memory + (size_t)picture * cpu_stride(v) + from : NULL;
}

/* ---- Copies --------------------------------------------------------------- */

static sal_status copy(sal_device *d, void *to, const sal_value *to_value, const void *from,
                       const sal_value *from_value, int64_t pictures, int64_t batch)
{
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < batch; n++) {
        float *out = at(to, to_value, n, 0);
        if (n >= pictures)
            memset(out, 0, to_value->bytes);
        else if (to_value->exact)
            cpu_to_plain(d, out, const_at(from, from_value, n, 0), from_value);
        else
            cpu_from_plain(d, out, const_at(from, from_value, n, 0), to_value);
    }
    return SAL_OK;
}

/* ---- Perturbed inputs ----------------------------------------------------- */

typedef struct perturb_job {
    const sal_device *device;
    void *to;
    const void *x;
    const sal_value *value;
    const sal_noise *noises;
    uint32_t sample;
} perturb_job;

static void perturb_piece(const void *context, int64_t picture, size_t from, size_t n)
{
    const perturb_job *j = context;
    j->device->kernels->perturb(at(j->to, j->value, picture, from), const_at(j->x, j->value, picture, from),
                                &j->noises[picture], j->sample, (uint32_t)(from / 4), n);
}

static sal_status perturb(sal_device *d, void *to, const void *x, const sal_value *value, const sal_noise *noises,
                          uint32_t sample, int64_t pictures)
{
    const perturb_job job = {d, to, x, value, noises, sample};
    each_piece(d, value, pictures, perturb_piece, &job);
    return SAL_OK;
}

typedef struct between_job {
    const sal_device *device;
    void *to;
    const void *from;
    const void *x;
    const sal_value *value;
    float t;
} between_job;

static void between_piece(const void *context, int64_t picture, size_t first, size_t n)
{
    const between_job *j = context;
    j->device->kernels->between(at(j->to, j->value, picture, first), const_at(j->from, j->value, picture, first),
                                const_at(j->x, j->value, picture, first), j->t, n);
}

static sal_status between(sal_device *d, void *to, const void *from, const void *x, const sal_value *value, float t,
                          int64_t pictures)
{
    const between_job job = {d, to, from, x, value, t};
    each_piece(d, value, pictures, between_piece, &job);
    return SAL_OK;
}

/* ---- Many gradients into one ----------------------------------------------- */

typedef struct accumulate_job {
    const sal_device *device;
    void *sum;
    void *spread;
    const void *x;
    const sal_value *value;
    sal_accumulate kind;
    float weight;
} accumulate_job;

static void accumulate_piece(const void *context, int64_t picture, size_t from, size_t n)
{
    const accumulate_job *j = context;
    float *spread = j->spread ? at(j->spread, j->value, picture, from) : NULL;
    j->device->kernels->accumulate(at(j->sum, j->value, picture, from), spread, const_at(j->x, j->value, picture, from),
                                   j->kind, j->weight, n);
}

static sal_status accumulate(sal_device *d, void *sum, void *spread, const void *x, const sal_value *value,
                             sal_accumulate kind, float weight, int64_t pictures)
{
    const accumulate_job job = {d, sum, spread, x, value, kind, weight};
    each_piece(d, value, pictures, accumulate_piece, &job);
    return SAL_OK;
}

typedef struct multiply_job {
    void *to;
    const void *a;
    const void *x;
    const void *from;
    const sal_value *value;
} multiply_job;

static void multiply_piece(const void *context, int64_t picture, size_t first, size_t n)
{
    const multiply_job *j = context;
    float *to = at(j->to, j->value, picture, first);
    const float *a = const_at(j->a, j->value, picture, first), *x = const_at(j->x, j->value, picture, first);
    const float *from = const_at(j->from, j->value, picture, first);
    for (size_t i = 0; i < n; i++)
        to[i] = a[i] * (from ? x[i] - from[i] : x[i]);
}

static sal_status multiply(sal_device *d, void *to, const void *a, const void *x, const void *from,
                           const sal_value *value, int64_t pictures)
{
    const multiply_job job = {to, a, x, from, value};
    each_piece(d, value, pictures, multiply_piece, &job);
    return SAL_OK;
}

/* ---- Class activation maps -------------------------------------------------- */

static double mean_of(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

/* Channels one after the other, each along its pixels. */
static void cam_picture(float *map, double *sums, const float *values, const float *gradients, int64_t channels,
                        int64_t pixels, sal_cam kind)
{
    memset(sums, 0, (size_t)pixels * sizeof *sums);
    for (int64_t c = 0; c < channels; c++) {
        const float *a = values + c * pixels, *g = gradients + c * pixels;
        const double weight = kind == SAL_CAM_GRAD ? mean_of(g, pixels) : 0.0;
        for (int64_t p = 0; p < pixels; p++) {
            /* Zero times infinity is NaN, and stays it. */
            const double own = kind == SAL_CAM_LAYER && g[p] < 0.0f ? 0.0 * (double)g[p] : (double)g[p];
            sums[p] += (kind == SAL_CAM_GRAD ? weight : own) * (double)a[p];
        }
    }
    for (int64_t p = 0; p < pixels; p++)
        map[p] = !isfinite(sums[p]) ? NAN : sums[p] < 0.0 ? 0.0f : (float)sums[p];
}

static sal_status cam(sal_device *d, void *map, const sal_value *map_value, const void *values, const void *gradients,
                      const sal_value *layer, sal_cam kind, int64_t pictures)
{
    sal_status st = SAL_OK;
    double *sums = NULL;
    const int64_t pixels = cpu_pixels(layer);
    TRY(sal_alloc(&sums, (size_t)(pictures * pixels), sizeof *sums, "a class activation map"));
#pragma omp parallel for num_threads(d->threads)
    for (int64_t n = 0; n < pictures; n++)
        cam_picture(at(map, map_value, n, 0), sums + n * pixels, const_at(values, layer, n, 0),
                    const_at(gradients, layer, n, 0), layer->shape.dim[1], pixels, kind);
done:
    sal_free(sums);
    return st;
}

const sal_method_rows cpu_method_rows = {copy, perturb, between, accumulate, multiply, cam};
