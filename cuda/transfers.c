/* Between host floats and values: through pinned buffers used in turn, so that pictures come in on a stream of their
 * own while the batch before them is computed. */
#include "device.h"
#include "maps.h"

#include <string.h>

sal_status cuda_staging_open(cuda_staging *s)
{
    sal_status st = SAL_OK;
    for (int k = 0; k < 2; k++) {
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&s->copied[k], cudaEventDisableTiming)));
        TRY(CUDA_CHECK(cudaEventCreateWithFlags(&s->consumed[k], cudaEventDisableTiming)));
    }
done:
    return st;
}

static void free_staging(cuda_staging *s)
{
    for (int k = 0; k < 2; k++) {
        (void)cudaFreeHost(s->host[k]);
        (void)cudaFree(s->device[k]);
        s->host[k] = s->device[k] = NULL;
    }
    s->bytes = 0;
}

void cuda_staging_close(cuda_staging *s)
{
    free_staging(s);
    for (int k = 0; k < 2; k++) {
        if (s->copied[k])
            (void)cudaEventDestroy(s->copied[k]);
        if (s->consumed[k])
            (void)cudaEventDestroy(s->consumed[k]);
    }
}

/* Buffers of at least so many bytes; what is in flight is waited for. */
static sal_status grow_staging(sal_device *d, cuda_staging *s, size_t bytes)
{
    sal_status st = SAL_OK;
    if (bytes <= s->bytes)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaStreamSynchronize(d->compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(d->copy)));
    free_staging(s);
    s->ahead = NULL;
    for (int k = 0; k < 2; k++) {
        TRY(CUDA_CHECK(cudaMallocHost((void **)&s->host[k], bytes)));
        TRY(CUDA_CHECK(cudaMalloc((void **)&s->device[k], bytes)));
    }
    s->bytes = bytes;
done:
    if (st != SAL_OK)
        free_staging(s);
    return st;
}

/* Exact values never are, whatever they are of. */
static int is_scaled(const sal_value *v)
{
    return v->gradient && !v->exact;
}

static size_t host_bytes(const sal_value *v, int64_t pictures)
{
    return (size_t)sal_shape_elements(&v->shape) * (size_t)pictures * sizeof(float);
}

/* Pictures on their way in, and maps with all that makes them. */
sal_status cuda_reserve(sal_device *d, const sal_value *input, int64_t batch)
{
    sal_status st = SAL_OK;
    const cuda_extent e = cuda_value_extent(input, batch);
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    st = grow_staging(d, &d->upload, host_bytes(input, batch));
    if (st == SAL_OK)
        st = cuda_maps_reserve(d->maps, e);
    if (st == SAL_OK)
        return st;
    /* A smaller batch wants less. */
    free_staging(&d->upload);
    cuda_maps_shrink(d->maps);
done:
    return st;
}

/* Host floats on their way into a buffer that no kernel reads any more; *turn is which. */
static sal_status stage(int *turn, sal_device *d, const float *host, size_t bytes)
{
    sal_status st = SAL_OK;
    cuda_staging *s = &d->upload;
    TRY(grow_staging(d, s, bytes));
    const int k = s->ahead && s->ahead_turn == s->turn ? 1 - s->turn : s->turn;
    TRY(CUDA_CHECK(cudaEventSynchronize(s->copied[k])));
    memcpy(s->host[k], host, bytes);
    TRY(CUDA_CHECK(cudaStreamWaitEvent(d->copy, s->consumed[k], 0)));
    TRY(CUDA_CHECK(cudaMemcpyAsync(s->device[k], s->host[k], bytes, cudaMemcpyHostToDevice, d->copy)));
    TRY(CUDA_CHECK(cudaEventRecord(s->copied[k], d->copy)));
    s->turn = 1 - k;
    *turn = k;
done:
    return st;
}

sal_status cuda_prefetch(sal_device *d, const sal_value *v, const float *host, int64_t pictures)
{
    sal_status st = SAL_OK;
    cuda_staging *s = &d->upload;
    s->ahead = NULL;
    if (!host)
        return SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(stage(&s->ahead_turn, d, host, host_bytes(v, pictures)));
    s->ahead = host;
    s->ahead_bytes = host_bytes(v, pictures);
done:
    return st;
}

sal_status cuda_upload(sal_device *d, void *memory, const sal_value *v, const float *host, int64_t pictures,
                       int64_t batch)
{
    sal_status st = SAL_OK;
    cuda_staging *s = &d->upload;
    const size_t bytes = host_bytes(v, pictures);
    int k = s->ahead_turn;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    if (is_scaled(v))
        d->scale.pictures = 0;
    if (is_scaled(v) && v->seed && d->scale.full != 1.0f)
        TRY(cuda_loss_scale_seeds(&host, &d->scale, host, pictures, (size_t)sal_shape_elements(&v->shape), d->compute));
    if (s->ahead && s->ahead == host && s->ahead_bytes == bytes)
        s->ahead = NULL;
    else
        TRY(stage(&k, d, host, bytes));
    TRY(CUDA_CHECK(cudaStreamWaitEvent(d->compute, s->copied[k], 0)));
    if (v->layout == SAL_LAYOUT_PLAIN)
        TRY(CUDA_CHECK(cudaMemcpyAsync(memory, s->device[k], bytes, cudaMemcpyDeviceToDevice, d->compute)));
    else
        TRY(CUDA_CHECK(cuda_convert_in(memory, cuda_value_type(d, v), (const float *)(const void *)s->device[k],
                                       cuda_value_extent(v, pictures), d->compute)));
    TRY(CUDA_CHECK(cudaEventRecord(s->consumed[k], d->compute)));
    if (batch > pictures)
        TRY(CUDA_CHECK(cudaMemsetAsync((unsigned char *)memory + (size_t)pictures * v->bytes, 0,
                                       (size_t)(batch - pictures) * v->bytes, d->compute)));
done:
    return st;
}

sal_status cuda_download(sal_device *d, float *host, const void *memory, const sal_value *v, int64_t pictures)
{
    sal_status st = SAL_OK;
    cuda_staging *s = &d->download;
    const size_t bytes = host_bytes(v, pictures);
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(grow_staging(d, s, bytes));
    const void *from = memory;
    if (v->layout != SAL_LAYOUT_PLAIN) {
        TRY(CUDA_CHECK(cuda_convert_out((float *)(void *)s->device[0], memory, cuda_value_type(d, v),
                                        cuda_value_extent(v, pictures), d->compute)));
        from = s->device[0];
    }
    TRY(CUDA_CHECK(cudaMemcpyAsync(s->host[0], from, bytes, cudaMemcpyDeviceToHost, d->compute)));
    TRY(CUDA_CHECK(cudaStreamSynchronize(d->compute)));
    memcpy(host, s->host[0], bytes);
    if (is_scaled(v) && d->scale.full != 1.0f)
        cuda_loss_scale_undo(host, &d->scale, pictures, (size_t)sal_shape_elements(&v->shape));
done:
    return st;
}
