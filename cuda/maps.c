/* Maps and overlays on the device: buffers, transfers and the order of the map kernels.
 *
 * Overlays go in bands of rows through two slots. While the kernel of one band runs, the next band's picture comes in
 * on the device's copy stream and the last one's result leaves on a stream of its own. */
#include "maps.h"

#include "kernels/map_kernels.h"

#include "base/memory.h"

#include <string.h>

enum { SLOTS = 2, TABLE_BYTES = 256 * 3, COLORMAPS = SAL_COLORMAPS };
static const size_t BAND_BYTES = (size_t)16 << 20;

typedef struct band_slot {
    uint8_t *host_in, *host_out; /* pinned */
    uint8_t *device_in, *device_out;
    cudaEvent_t came, blended, left;
    uint8_t *rgb; /* where host_out goes once it has left the device; NULL: nothing is on its way */
    size_t bytes;
} band_slot;

struct cuda_maps {
    sal_device *device;
    cudaStream_t down; /* finished bands */
    /* Of the last make: */
    float *map, *work; /* (pictures, height, width), room for `floats` of them */
    int64_t pictures, height, width;
    sal_normalize normalized;
    size_t floats;
    float *host_map; /* pinned, room for `host_floats` */
    size_t host_floats;
    cuda_map_stats *stats, *partial, *host_stats; /* room for `measured` pictures; host_stats is pinned */
    size_t measured;
    double *weights, *host_weights; /* half of the Gaussian, room for `taps` */
    size_t taps;
    double sigma; /* that the weights are of; -1: none */
    uint8_t *tables[COLORMAPS];
    size_t slot_bytes;
    band_slot slots[SLOTS];
    int turn;
};

/* ---- Buffers ------------------------------------------------------------- */

#define DROP(free, memory) ((void)free(memory), (memory) = NULL)

static void free_slots(cuda_maps *m)
{
    for (int k = 0; k < SLOTS; k++) {
        band_slot *s = &m->slots[k];
        DROP(cudaFreeHost, s->host_in);
        DROP(cudaFreeHost, s->host_out);
        DROP(cudaFree, s->device_in);
        DROP(cudaFree, s->device_out);
        s->rgb = NULL;
    }
    m->slot_bytes = 0;
}

void cuda_maps_close(cuda_maps *m)
{
    if (!m)
        return;
    if (m->down)
        (void)cudaStreamSynchronize(m->down);
    free_slots(m);
    for (int k = 0; k < SLOTS; k++) {
        const cudaEvent_t events[] = {m->slots[k].came, m->slots[k].blended, m->slots[k].left};
        for (size_t i = 0; i < sizeof events / sizeof *events; i++)
            if (events[i])
                (void)cudaEventDestroy(events[i]);
    }
    for (int k = 0; k < COLORMAPS; k++)
        (void)cudaFree(m->tables[k]);
    (void)cudaFree(m->map);
    (void)cudaFree(m->work);
    (void)cudaFree(m->stats);
    (void)cudaFree(m->partial);
    (void)cudaFree(m->weights);
    (void)cudaFreeHost(m->host_map);
    (void)cudaFreeHost(m->host_stats);
    (void)cudaFreeHost(m->host_weights);
    if (m->down)
        (void)cudaStreamDestroy(m->down);
    (void)cudaGetLastError();
    sal_free(m);
}

sal_status cuda_maps_open(cuda_maps **out, sal_device *d)
{
    sal_status st = SAL_OK;
    cuda_maps *m = NULL;
    *out = NULL;
    TRY(sal_alloc(&m, 1, sizeof *m, "maps"));
    m->device = d;
    m->sigma = -1.0;
    TRY(CUDA_CHECK(cudaStreamCreateWithFlags(&m->down, cudaStreamNonBlocking)));
    for (int k = 0; k < SLOTS; k++) {
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&m->slots[k].came, cudaEventDisableTiming)));
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&m->slots[k].blended, cudaEventDisableTiming)));
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&m->slots[k].left, cudaEventDisableTiming)));
    }
    *out = m;
    m = NULL;
done:
    cuda_maps_close(m);
    return st;
}

static sal_status grow_maps(cuda_maps *m, size_t floats)
{
    sal_status st = SAL_OK;
    if (floats <= m->floats)
        return SAL_OK;
    DROP(cudaFree, m->map);
    DROP(cudaFree, m->work);
    m->floats = 0;
    TRY(CUDA_CHECK(cudaMalloc((void **)&m->map, floats * sizeof *m->map)));
    TRY(CUDA_CHECK(cudaMalloc((void **)&m->work, floats * sizeof *m->work)));
    m->floats = floats;
done:
    return st;
}

static sal_status grow_host_map(cuda_maps *m, size_t floats)
{
    sal_status st = SAL_OK;
    if (floats <= m->host_floats)
        return SAL_OK;
    DROP(cudaFreeHost, m->host_map);
    m->host_floats = 0;
    TRY(CUDA_CHECK(cudaMallocHost((void **)&m->host_map, floats * sizeof *m->host_map)));
    m->host_floats = floats;
done:
    return st;
}

static sal_status grow_stats(cuda_maps *m, size_t pictures)
{
    sal_status st = SAL_OK;
    if (pictures <= m->measured)
        return SAL_OK;
    DROP(cudaFree, m->stats);
    DROP(cudaFree, m->partial);
    DROP(cudaFreeHost, m->host_stats);
    m->measured = 0;
    TRY(CUDA_CHECK(cudaMalloc((void **)&m->stats, pictures * sizeof *m->stats)));
    TRY(CUDA_CHECK(cudaMalloc((void **)&m->partial, pictures * CUDA_MEASURE_BLOCKS * sizeof *m->partial)));
    TRY(CUDA_CHECK(cudaMallocHost((void **)&m->host_stats, pictures * sizeof *m->host_stats)));
    m->measured = pictures;
done:
    return st;
}

sal_status cuda_maps_reserve(cuda_maps *m, cuda_extent e)
{
    sal_status st = SAL_OK;
    const size_t floats = (size_t)(e.pictures * e.height * e.width);
    TRY(grow_maps(m, floats));
    TRY(grow_stats(m, (size_t)e.pictures));
    TRY(grow_host_map(m, floats));
done:
    return st;
}

void cuda_maps_shrink(cuda_maps *m)
{
    DROP(cudaFree, m->map);
    DROP(cudaFree, m->work);
    DROP(cudaFree, m->stats);
    DROP(cudaFree, m->partial);
    DROP(cudaFreeHost, m->host_stats);
    DROP(cudaFreeHost, m->host_map);
    m->floats = m->host_floats = m->measured = 0;
    m->pictures = 0;
}

/* The Gaussian's weights on the device; made anew when sigma changes. */
static sal_status set_sigma(cuda_maps *m, double sigma)
{
    sal_status st = SAL_OK;
    const int64_t radius = sal_gauss_radius(sigma);
    const size_t taps = (size_t)radius + 1;
    if (sigma == m->sigma || radius == 0)
        return SAL_OK;
    m->sigma = -1.0;
    if (taps > m->taps) {
        DROP(cudaFree, m->weights);
        DROP(cudaFreeHost, m->host_weights);
        m->taps = 0;
        TRY(CUDA_CHECK(cudaMalloc((void **)&m->weights, taps * sizeof *m->weights)));
        TRY(CUDA_CHECK(cudaMallocHost((void **)&m->host_weights, taps * sizeof *m->host_weights)));
        m->taps = taps;
    }
    sal_gauss_kernel(m->host_weights, radius, sigma);
    TRY(CUDA_CHECK(cudaMemcpyAsync(m->weights, m->host_weights, taps * sizeof *m->weights, cudaMemcpyHostToDevice,
                                   m->device->compute)));
    m->sigma = sigma;
done:
    return st;
}

/* ---- Maps ---------------------------------------------------------------- */

static sal_status check_options(double *sigma, int64_t height, int64_t width, const sal_map_options *o)
{
    *sigma = o->sigma == SAL_DEFAULT ? sal_map_default_sigma(height, width) : o->sigma;
    if ((unsigned)o->normalize > SAL_NORMALIZE_KERAS_VIS)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown normalisation %d", (int)o->normalize);
    if ((unsigned)o->modifier > SAL_MODIFIER_NONE)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown gradient modifier %d", (int)o->modifier);
    if ((unsigned)o->reduce > SAL_REDUCE_L2)
        return sal_fail(SAL_ERROR_ARGUMENT, "unknown channel reduction %d", (int)o->reduce);
    if (!(*sigma >= 0.0 && *sigma <= SAL_SIGMA_MAX))
        return sal_fail(SAL_ERROR_ARGUMENT, "sigma %g is not within 0 and %g", *sigma, SAL_SIGMA_MAX);
    return SAL_OK;
}

static sal_status reduce(cuda_maps *m, const cuda_attribution *a, int64_t height, int64_t width,
                         const sal_map_options *o)
{
    sal_status st = SAL_OK;
    const cuda_extent e = a->extent;
    cudaStream_t compute = m->device->compute;
    const int enlarged = e.height != height || e.width != width;
    TRY(CUDA_CHECK(cuda_map_reduce(enlarged ? m->work : m->map, a->memory, a->type, e, a->scales, o->modifier,
                                   o->reduce, compute)));
    if (enlarged)
        TRY(CUDA_CHECK(cuda_map_enlarge(m->map, m->work, e.pictures, height, width, e.height, e.width, compute)));
done:
    return st;
}

static sal_status run_kernels(cuda_maps *m, int64_t pictures, int64_t height, int64_t width, double sigma,
                              double common)
{
    sal_status st = SAL_OK;
    cudaStream_t compute = m->device->compute;
    TRY(CUDA_CHECK(
        cuda_smooth(m->map, m->work, m->weights, sal_gauss_radius(sigma), pictures, height, width, compute)));
    TRY(CUDA_CHECK(cuda_measure(m->stats, m->partial, m->map, pictures, height * width, compute)));
    if (m->normalized != SAL_NORMALIZE_NONE)
        TRY(CUDA_CHECK(cuda_normalize(m->map, m->stats, pictures, height * width, m->normalized, common, compute)));
done:
    return st;
}

static sal_status take_stats(sal_map_stats *stats, const cuda_maps *m, int64_t pixels)
{
    for (int64_t n = 0; n < m->pictures; n++) {
        const cuda_map_stats *s = &m->host_stats[n];
        if (s->not_finite)
            return sal_fail(SAL_ERROR_NUMERIC,
                            "picture %lld of the batch: its gradient, or a sum of it, is NaN or infinite: "
                            "no map can be made of it",
                            (long long)n);
        stats[n] = (sal_map_stats){.peak = s->high,
                                   .mean = (float)(s->sum / (double)pixels),
                                   .low = s->low,
                                   .flat = sal_is_flat(s->low, s->high, m->normalized)};
    }
    return SAL_OK;
}

sal_status cuda_maps_make(float *host, sal_map_stats *stats, cuda_maps *m, const cuda_attribution *a, int64_t height,
                          int64_t width, const sal_map_options *options)
{
    sal_status st = SAL_OK;
    double sigma;
    cudaStream_t compute = m->device->compute;
    const int64_t pixels = height * width, reduced = a->extent.height * a->extent.width;
    const size_t pictures = (size_t)a->extent.pictures, floats = pictures * (size_t)pixels;
    TRY(CUDA_CHECK(cudaSetDevice(m->device->ordinal)));
    TRY(check_options(&sigma, height, width, options));
    /* Buffers may change only when nothing uses them. */
    TRY(CUDA_CHECK(cudaStreamSynchronize(compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(m->down)));
    for (int k = 0; k < SLOTS; k++)
        m->slots[k].rgb = NULL;
    m->pictures = 0;
    TRY(grow_maps(m, reduced > pixels ? pictures * (size_t)reduced : floats));
    TRY(grow_stats(m, pictures));
    if (host)
        TRY(grow_host_map(m, floats));
    TRY(set_sigma(m, sigma));
    m->normalized = options->normalize;
    TRY(reduce(m, a, height, width, options));
    TRY(run_kernels(m, a->extent.pictures, height, width, sigma, options->common_scale));
    TRY(CUDA_CHECK(
        cudaMemcpyAsync(m->host_stats, m->stats, pictures * sizeof *m->stats, cudaMemcpyDeviceToHost, compute)));
    if (host)
        TRY(CUDA_CHECK(cudaMemcpyAsync(m->host_map, m->map, floats * sizeof *host, cudaMemcpyDeviceToHost, compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(compute)));
    m->pictures = a->extent.pictures;
    m->height = height;
    m->width = width;
    TRY(take_stats(stats, m, pixels));
    if (host)
        memcpy(host, m->host_map, floats * sizeof *host);
done:
    return st;
}

/* ---- Overlays ------------------------------------------------------------ */

/* The slot's band, if there is one on its way, arrives. */
static sal_status flush(band_slot *s)
{
    sal_status st = SAL_OK;
    if (!s->rgb)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaEventSynchronize(s->left)));
    memcpy(s->rgb, s->host_out, s->bytes);
    s->rgb = NULL;
done:
    return st;
}

sal_status cuda_maps_finish(cuda_maps *m)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(m->device->ordinal)));
    for (int k = 0; k < SLOTS; k++)
        TRY(flush(&m->slots[k]));
done:
    return st;
}

static sal_status grow_slots(cuda_maps *m, size_t bytes)
{
    sal_status st = SAL_OK;
    if (bytes <= m->slot_bytes)
        return SAL_OK;
    TRY(cuda_maps_finish(m));
    free_slots(m);
    for (int k = 0; k < SLOTS; k++) {
        band_slot *s = &m->slots[k];
        TRY(CUDA_CHECK(cudaMallocHost((void **)&s->host_in, bytes)));
        TRY(CUDA_CHECK(cudaMallocHost((void **)&s->host_out, bytes)));
        TRY(CUDA_CHECK(cudaMalloc((void **)&s->device_in, bytes)));
        TRY(CUDA_CHECK(cudaMalloc((void **)&s->device_out, bytes)));
    }
    m->slot_bytes = bytes;
done:
    if (st != SAL_OK)
        free_slots(m);
    return st;
}

/* One that there is: check_overlay saw to it. */
static sal_status load_table(cuda_maps *m, sal_colormap colormap)
{
    sal_status st = SAL_OK;
    const uint8_t(*table)[3] = sal_colormap_table(colormap);
    uint8_t *device = NULL;
    if (m->tables[colormap])
        return SAL_OK;
    TRY(CUDA_CHECK(cudaMalloc((void **)&device, TABLE_BYTES)));
    TRY(CUDA_CHECK(cudaMemcpyAsync(device, table, TABLE_BYTES, cudaMemcpyHostToDevice, m->device->compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(m->device->compute)));
    m->tables[colormap] = device;
    device = NULL;
done:
    (void)cudaFree(device);
    return st;
}

static sal_status check_overlay(const cuda_maps *m, int64_t picture, const sal_picture *shown, const sal_placement *p,
                                const sal_overlay_style *style)
{
    if (picture < 0 || picture >= m->pictures || p->net_height != m->height || p->net_width != m->width)
        return sal_fail(SAL_ERROR_ARGUMENT, "picture %lld: no map of %lld x %lld pixels was made of it",
                        (long long)picture, (long long)p->net_width, (long long)p->net_height);
    const sal_status st = sal_overlay_style_check(style);
    if (st != SAL_OK)
        return st;
    if (!(p->scale_y > 0.0 && p->scale_x > 0.0) || p->source_height < 1 || p->source_width < 1)
        return sal_fail(SAL_ERROR_ARGUMENT, "placement with sides or scales that are not positive");
    if (shown && (shown->type != SAL_SAMPLE_U8 || shown->channels != 3 || shown->height != p->source_height ||
                  shown->width != p->source_width))
        return sal_fail(SAL_ERROR_ARGUMENT, "the picture under an overlay must be 8-bit RGB of %lld x %lld pixels",
                        (long long)p->source_width, (long long)p->source_height);
    return SAL_OK;
}

/* One band: `from` are its bytes of the picture, or NULL. */
static sal_status blend_band(cuda_maps *m, uint8_t *rgb, const uint8_t *from, int64_t picture, sal_colormap colormap,
                             const cuda_overlay *o)
{
    sal_status st = SAL_OK;
    const sal_device *d = m->device;
    band_slot *s = &m->slots[m->turn];
    TRY(flush(s));
    s->bytes = (size_t)(o->rows * o->width) * 3;
    if (from) {
        memcpy(s->host_in, from, s->bytes);
        TRY(CUDA_CHECK(cudaMemcpyAsync(s->device_in, s->host_in, s->bytes, cudaMemcpyHostToDevice, d->copy)));
        TRY(CUDA_CHECK(cudaEventRecord(s->came, d->copy)));
        TRY(CUDA_CHECK(cudaStreamWaitEvent(d->compute, s->came, 0)));
    }
    TRY(CUDA_CHECK(cuda_overlay_blend(
        s->device_out, from ? s->device_in : NULL, m->map + picture * m->height * m->width,
        m->normalized != SAL_NORMALIZE_NONE ? NULL : m->stats + picture, m->tables[colormap], *o, d->compute)));
    TRY(CUDA_CHECK(cudaEventRecord(s->blended, d->compute)));
    TRY(CUDA_CHECK(cudaStreamWaitEvent(m->down, s->blended, 0)));
    TRY(CUDA_CHECK(cudaMemcpyAsync(s->host_out, s->device_out, s->bytes, cudaMemcpyDeviceToHost, m->down)));
    TRY(CUDA_CHECK(cudaEventRecord(s->left, m->down)));
    s->rgb = rgb;
    m->turn = (m->turn + 1) % SLOTS;
done:
    return st;
}

sal_status cuda_maps_overlay(uint8_t *rgb, cuda_maps *m, int64_t picture, const sal_picture *shown,
                             const sal_placement *p, const sal_overlay_style *style)
{
    sal_status st = SAL_OK;
    TRY(check_overlay(m, picture, shown, p, style));
    const size_t row_bytes = (size_t)p->source_width * 3;
    const int64_t fit = row_bytes < BAND_BYTES ? (int64_t)(BAND_BYTES / row_bytes) : 1;
    int64_t most = fit < p->source_height ? fit : p->source_height;
    TRY(CUDA_CHECK(cudaSetDevice(m->device->ordinal)));
    TRY(load_table(m, style->colormap));
    /* Where memory is short, in more and smaller bands. */
    while ((st = grow_slots(m, (size_t)most * row_bytes)) == SAL_ERROR_MEMORY && most > 1)
        most = (most + 1) / 2;
    TRY(st);
    cuda_overlay o = {.net_height = p->net_height,
                      .net_width = p->net_width,
                      .height = p->source_height,
                      .width = p->source_width,
                      .scale_y = p->scale_y,
                      .scale_x = p->scale_x,
                      .offset_y = p->offset_y,
                      .offset_x = p->offset_x,
                      .weight = sal_blend_weight(style->alpha),
                      .gain = style->is_signed ? 0.5f : 1.0f,
                      .bias = style->is_signed ? 0.5f : 0.0f,
                      .blend = style->blend,
                      .is_signed = style->is_signed,
                      .contour_count = shown ? style->contour_count : 0,
                      .line = sal_contour_width(p->source_height, p->source_width)};
    memcpy(o.contours, style->contours, sizeof o.contours);
    for (o.first_row = 0; o.first_row < p->source_height; o.first_row += o.rows) {
        const size_t at = (size_t)o.first_row * row_bytes;
        o.rows = p->source_height - o.first_row < most ? p->source_height - o.first_row : most;
        const uint8_t *from = shown ? (const uint8_t *)shown->samples + at : NULL;
        TRY(blend_band(m, rgb + at, from, picture, style->colormap, &o));
    }
done:
    return st;
}
