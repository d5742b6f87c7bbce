/* Weights on the device: forward and backward steps of a node share them. */
#include "cuda_rows.h"

#include "base/memory.h"

#include <string.h>

/* Floats that travel at once: a bound on the pinned buffers, which layers of a hundred million weights would fill. */
enum { PIECE = 1 << 22 };

struct cuda_weight {
    cuda_weight *next;
    const sal_node *node;
    cuda_weight_form form;
    void *memory; /* NULL on a described device */
    size_t bytes;
    int users;
};

static int64_t taps_of(const sal_node *n)
{
    return n->window.kernel[0] * n->window.kernel[1];
}

/* (rows, inner, taps) to (rows, taps, inner), or to (taps, rows) where inner is 1 and rows go last. */
static void permute(float *to, const sal_node *n, cuda_weight_form form)
{
    const int64_t taps = taps_of(n), rows = n->shape.dim[1], inner = (int64_t)n->weight_count / rows / taps;
    for (int64_t o = 0; o < rows; o++)
        for (int64_t c = 0; c < inner; c++)
            for (int64_t k = 0; k < taps; k++)
                to[form == CUDA_WEIGHT_DEPTHWISE ? k * rows + o : (o * taps + k) * inner + c] =
                    n->weight[(o * inner + c) * taps + k];
}

/* One number per channel from `count` of them, all or one. */
static void spread(float *to, const float *from, size_t count, size_t channels)
{
    for (size_t c = 0; c < channels; c++)
        to[c] = from[count == 1 ? 0 : c];
}

/* Where the readers of each element begin, then all readers: tap t of element o is o * taps + t. */
static void list_readers(int32_t *to, const sal_node *n, size_t extent)
{
    int32_t *const start = to, *const list = to + extent + 1;
    for (size_t i = 0; i <= extent; i++)
        start[i] = 0;
    for (size_t k = 0; k < n->index_count; k++)
        if (!n->weight || n->weight[k] != 0.0f)
            start[n->index[k] + 1]++;
    for (size_t i = 0; i < extent; i++)
        start[i + 1] += start[i];
    for (size_t k = 0; k < n->index_count; k++)
        if (!n->weight || n->weight[k] != 0.0f)
            list[start[n->index[k]]++] = (int32_t)k;
    for (size_t i = extent; i > 0; i--) /* each has become the next one's */
        start[i] = start[i - 1];
    start[0] = 0;
}

static int is_bias(cuda_weight_form form)
{
    return form == CUDA_WEIGHT_BIAS || form == CUDA_WEIGHT_MAP_BIAS;
}

/* Weights in the form's order; *owned is the caller's where they had to be made. Indices travel as the floats of the
 * same bits. */
static sal_status arrange(const float **out, float **owned, const sal_node *n, cuda_weight_form form, size_t count)
{
    sal_status st = SAL_OK;
    *owned = NULL;
    *out = n->weight;
    if (form == CUDA_WEIGHT_FLOATS)
        return SAL_OK;
    TRY(sal_alloc(owned, count, sizeof **owned, "weights"));
    if (form == CUDA_WEIGHT_INDICES)
        memcpy(*owned, n->index, count * sizeof *n->index);
    else if (form == CUDA_WEIGHT_READERS)
        list_readers((int32_t *)(void *)*owned, n, count - n->index_count - 1);
    else if (form == CUDA_WEIGHT_CHANNELS)
        spread(*owned, n->weight, n->weight_count, count);
    else if (is_bias(form))
        spread(*owned, n->bias, n->bias_count, count);
    else
        permute(*owned, n, form);
    *out = *owned;
done:
    return st;
}

static sal_status send(sal_device *d, void *memory, const float *from, size_t count, int as_map)
{
    sal_status st = SAL_OK;
    sal_value v = {.type = SAL_VALUE_FLOATS};
    v.layout = as_map ? SAL_LAYOUT_CHANNELS_LAST : SAL_LAYOUT_PLAIN;
    size_t size = as_map ? cuda_type_bytes(d->type) : sizeof *from;
    for (size_t at = 0; at < count; at += PIECE) {
        int64_t n = count - at < PIECE ? (int64_t)(count - at) : PIECE;
        v.shape = as_map ? (sal_shape){4, {1, n, 1, 1}} : (sal_shape){2, {1, n}};
        TRY(cuda_upload(d, (unsigned char *)memory + at * size, &v, from + at, 1, 1));
    }
done:
    return st;
}

static size_t count_of(const sal_node *n, cuda_weight_form form, size_t channels)
{
    if (form == CUDA_WEIGHT_INDICES)
        return n->index_count;
    if (form == CUDA_WEIGHT_READERS)
        return channels + 1 + n->index_count;
    return form == CUDA_WEIGHT_CHANNELS || is_bias(form) ? channels : n->weight_count;
}

static sal_status make(cuda_weight *w, sal_device *d, const sal_node *n, cuda_weight_form form, size_t channels)
{
    sal_status st = SAL_OK;
    const float *from;
    float *owned = NULL;
    int as_map = form == CUDA_WEIGHT_FILTER || form == CUDA_WEIGHT_DEPTHWISE || form == CUDA_WEIGHT_MAP_BIAS;
    size_t count = count_of(n, form, channels);
    w->node = n;
    w->form = form;
    w->bytes = count * (as_map ? cuda_type_bytes(d->type) : sizeof(float));
    if (d->described)
        return SAL_OK;
    TRY(arrange(&from, &owned, n, form, count));
    st = CUDA_CHECK(cudaMalloc(&w->memory, w->bytes));
    if (st != SAL_OK) {
        st = sal_fail_in(st, "%zu MiB of weights on the GPU", w->bytes >> 20);
        goto done;
    }
    TRY(send(d, w->memory, from, count, as_map));
done:
    sal_free(owned);
    return st;
}

static void drop(sal_device *d, cuda_weight *w)
{
    if (!w)
        return;
    if (w->memory) {
        (void)cudaStreamSynchronize(d->compute);
        (void)cudaFree(w->memory);
        (void)cudaGetLastError();
    }
    sal_free(w);
}

sal_status cuda_weights_use(cuda_weight **out, sal_needs *needs, sal_device *d, const sal_node *n,
                            cuda_weight_form form, int64_t channels)
{
    sal_status st = SAL_OK;
    cuda_weight *w;
    *out = NULL;
    if (is_bias(form) && !n->bias)
        return SAL_OK;
    for (w = d->weights; w; w = w->next)
        if (w->node == n && w->form == form) {
            w->users++;
            *out = w;
            return SAL_OK;
        }
    TRY(sal_alloc(&w, 1, sizeof *w, "weights"));
    TRY(make(w, d, n, form, (size_t)channels));
    w->users = 1;
    w->next = d->weights;
    d->weights = w;
    needs->weight_bytes += w->bytes;
    *out = w;
    w = NULL;
done:
    drop(d, w);
    return st;
}

void cuda_weights_release(sal_device *d, cuda_weight *w)
{
    if (!w || --w->users > 0)
        return;
    cuda_weight **at = &d->weights;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    drop(d, w);
}

const void *cuda_weight_memory(const cuda_weight *w)
{
    return w ? w->memory : NULL;
}

void cuda_weights_clear(sal_device *d)
{
    while (d->weights) {
        cuda_weight *w = d->weights;
        d->weights = w->next;
        drop(d, w);
    }
}
