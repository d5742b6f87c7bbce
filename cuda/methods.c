/* The rows of methods of several passes: which kernels, on which memory. */
#include "methods.h"

#include "device.h"
#include "kernels/method_kernels.h"

void cuda_methods_close(cuda_methods *m)
{
    (void)cudaFree(m->noises);
    (void)cudaFree(m->means);
}

static int64_t total_elements(const sal_value *v, int64_t pictures)
{
    return pictures * sal_shape_elements(&v->shape);
}

static sal_status copy(sal_device *d, void *to, const sal_value *to_value, const void *from,
                       const sal_value *from_value, int64_t pictures, int64_t batch)
{
    sal_status st = SAL_OK;
    const int64_t scaled = from_value->gradient && !from_value->exact ? d->scale.pictures : 0;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cuda_method_copy(to, cuda_value_type(d, to_value), from, cuda_value_type(d, from_value), pictures,
                                    sal_shape_elements(&to_value->shape), d->scale.device_undo, scaled, d->compute)));
    if (batch > pictures)
        TRY(CUDA_CHECK(cudaMemsetAsync((unsigned char *)to + (size_t)pictures * to_value->bytes, 0,
                                       (size_t)(batch - pictures) * to_value->bytes, d->compute)));
done:
    return st;
}

static sal_status send_noises(sal_device *d, const sal_noise *noises, size_t pictures)
{
    sal_status st = SAL_OK;
    cuda_methods *m = &d->methods;
    if (pictures > m->noise_room) {
        (void)cudaFree(m->noises);
        m->noises = NULL;
        m->noise_room = 0;
        TRY(CUDA_CHECK(cudaMalloc((void **)&m->noises, pictures * sizeof *m->noises)));
        m->noise_room = pictures;
    }
    /* Pageable memory is read before this returns. */
    TRY(CUDA_CHECK(cudaMemcpyAsync(m->noises, noises, pictures * sizeof *noises, cudaMemcpyHostToDevice, d->compute)));
done:
    return st;
}

static sal_status perturb(sal_device *d, void *to, const void *x, const sal_value *value, const sal_noise *noises,
                          uint32_t sample, int64_t pictures)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(send_noises(d, noises, (size_t)pictures));
    TRY(CUDA_CHECK(
        cuda_method_perturb(to, x, d->methods.noises, sample, cuda_value_extent(value, pictures), d->compute)));
done:
    return st;
}

static sal_status between(sal_device *d, void *to, const void *from, const void *x, const sal_value *value, float t,
                          int64_t pictures)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cuda_method_between(to, from, x, t, total_elements(value, pictures), d->compute)));
done:
    return st;
}

static sal_status accumulate(sal_device *d, void *sum, void *spread, const void *x, const sal_value *value,
                             sal_accumulate kind, float weight, int64_t pictures)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cuda_method_accumulate(sum, spread, x, kind, weight, total_elements(value, pictures), d->compute)));
done:
    return st;
}

static sal_status multiply(sal_device *d, void *to, const void *a, const void *x, const void *from,
                           const sal_value *value, int64_t pictures)
{
    sal_status st = SAL_OK;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    TRY(CUDA_CHECK(cuda_method_multiply(to, a, x, from, total_elements(value, pictures), d->compute)));
done:
    return st;
}

static sal_status grow_means(cuda_methods *m, size_t means)
{
    sal_status st = SAL_OK;
    if (means <= m->mean_room)
        return SAL_OK;
    (void)cudaFree(m->means);
    m->means = NULL;
    m->mean_room = 0;
    TRY(CUDA_CHECK(cudaMalloc((void **)&m->means, means * sizeof *m->means)));
    m->mean_room = means;
done:
    return st;
}

static sal_status cam(sal_device *d, void *map, const sal_value *map_value, const void *values, const void *gradients,
                      const sal_value *layer, sal_cam kind, int64_t pictures)
{
    sal_status st = SAL_OK;
    const cuda_extent e = cuda_value_extent(layer, pictures);
    const int by_means = kind == SAL_CAM_GRAD;
    (void)map_value;
    TRY(CUDA_CHECK(cudaSetDevice(d->ordinal)));
    if (by_means) {
        TRY(grow_means(&d->methods, (size_t)(e.pictures * e.channels)));
        TRY(CUDA_CHECK(cuda_method_means(d->methods.means, gradients, e, d->compute)));
    }
    TRY(CUDA_CHECK(cuda_method_cam(map, values, gradients, by_means ? d->methods.means : NULL, kind, e, d->compute)));
done:
    return st;
}

const sal_method_rows cuda_method_rows = {copy, perturb, between, accumulate, multiply, cam};
