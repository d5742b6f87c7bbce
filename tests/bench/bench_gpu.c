/* What a GPU can do, and how near the map kernels come: the yardsticks of scripts/gpu_check.sh.
 *
 *     bench_gpu [ORDINAL [small]]      small: sizes for an emulated device, which says nothing of speed
 *
 * Prints "name value" lines: copy-gbs (a device-to-device copy, bytes read and written), fp32-tflops, tf32-tflops,
 * bf16-tflops, fp16-tflops (cuBLASLt, square products), then for each size of maps
 *
 *     smooth HxWxN SIGMA MILLISECONDS GBS     read and written once
 *     blend HxWxN 0 MILLISECONDS GBS          two RGB pictures and a map of half their size
 */
#include "kernels/map_kernels.h"
#include "nvidia.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8192, RUNS = 20, WORKSPACE = 32 << 20 }; /* what cuBLASLt wants on Hopper */

typedef struct bench {
    cudaStream_t stream;
    cudaEvent_t begin, end;
    cublasLtHandle_t blas;
    int64_t side; /* of the matrices */
    int runs;
    void *workspace;
    unsigned char *memory[3]; /* side * side floats each, small ones in every type */
} bench;

/* One piece of work; 1: enqueued. */
typedef int work(bench *b, const void *what);

static int complain(const char *what)
{
    fprintf(stderr, "bench_gpu: %s failed: %s\n", what, cudaGetErrorString(cudaGetLastError()));
    return 0;
}

#define OK(call) ((call) == cudaSuccess || complain(#call))

/* Milliseconds of one run, the first left out; 0: it failed. */
static double time_of(bench *b, work *f, const void *what)
{
    float milliseconds = 0;
    if (!f(b, what) || !OK(cudaEventRecord(b->begin, b->stream)))
        return 0;
    for (int i = 0; i < b->runs; i++)
        if (!f(b, what))
            return 0;
    if (!OK(cudaEventRecord(b->end, b->stream)) || !OK(cudaEventSynchronize(b->end)) ||
        !OK(cudaEventElapsedTime(&milliseconds, b->begin, b->end)))
        return 0;
    return (double)milliseconds / b->runs;
}

static int copy(bench *b, const void *what)
{
    const size_t bytes = *(const size_t *)what;
    return OK(cudaMemcpyAsync(b->memory[0], b->memory[1], bytes, cudaMemcpyDeviceToDevice, b->stream));
}

static int bench_copy(bench *b)
{
    const size_t bytes = (size_t)(b->side * b->side) * sizeof(float);
    const double milliseconds = time_of(b, copy, &bytes);
    if (milliseconds <= 0)
        return 0;
    printf("copy-gbs %.1f\n", 2e-6 * (double)bytes / milliseconds);
    return 1;
}

typedef struct product {
    const char *name;
    cublasComputeType_t compute;
    cudaDataType_t type;
    cublasLtMatmulDesc_t description;
    cublasLtMatrixLayout_t layout;
} product;

static int multiply(bench *b, const void *what)
{
    const product *p = what;
    const float one = 1, zero = 0;
    return nvidia.cublasLtMatmul(b->blas, p->description, &one, b->memory[0], p->layout, b->memory[1], p->layout, &zero,
                                 b->memory[2], p->layout, b->memory[2], p->layout, NULL, b->workspace, WORKSPACE,
                                 b->stream) == CUBLAS_STATUS_SUCCESS;
}

/* A type that this GPU does not have is left out. */
static void bench_product(bench *b, product p)
{
    if (nvidia.cublasLtMatmulDescCreate(&p.description, p.compute, CUDA_R_32F) != CUBLAS_STATUS_SUCCESS)
        return;
    if (nvidia.cublasLtMatrixLayoutCreate(&p.layout, p.type, (uint64_t)b->side, (uint64_t)b->side, b->side) ==
        CUBLAS_STATUS_SUCCESS) {
        const double milliseconds = time_of(b, multiply, &p);
        if (milliseconds > 0)
            printf("%s-tflops %.2f\n", p.name, 2e-9 * (double)(b->side * b->side * b->side) / milliseconds);
        nvidia.cublasLtMatrixLayoutDestroy(p.layout);
    }
    nvidia.cublasLtMatmulDescDestroy(p.description);
}

typedef struct maps {
    int64_t pictures, side;
    double sigma;
    int64_t radius;
    const double *weights; /* device; likewise the table of colours, after them */
} maps;

static int smooth(bench *b, const void *what)
{
    const maps *m = what;
    return OK(cuda_smooth((float *)b->memory[0], (float *)b->memory[1], m->weights, m->radius, m->pictures, m->side,
                          m->side, b->stream));
}

static int blend(bench *b, const void *what)
{
    const maps *m = what;
    const int64_t side = 2 * m->side;
    const cuda_overlay o = {.net_height = m->side,
                            .net_width = m->side,
                            .width = side,
                            .rows = side,
                            .scale_y = 0.5,
                            .scale_x = 0.5,
                            .weight = sal_blend_weight(0.5)};
    for (int64_t i = 0; i < m->pictures; i++)
        if (!OK(cuda_overlay_blend(b->memory[2] + i * side * side * 3, b->memory[1] + i * side * side * 3,
                                   (const float *)b->memory[0] + i * m->side * m->side, NULL,
                                   (const uint8_t *)(m->weights + m->radius + 1), o, b->stream)))
            return 0;
    return 1;
}

static int bench_maps(bench *b, int64_t side, int64_t pictures)
{
    double weights[CUDA_SMOOTH_RADIUS + 1 + 256 * 3 / sizeof(double)] = {0};
    const double pixels = (double)(pictures * side * side);
    maps m = {.pictures = pictures, .side = side, .sigma = 0.02 * (double)side};
    void *memory = NULL;
    m.radius = sal_gauss_radius(m.sigma);
    sal_gauss_kernel(weights, m.radius, m.sigma);
    if (!OK(cudaMalloc(&memory, sizeof weights)))
        return 0;
    m.weights = memory;
    int ok = OK(cudaMemcpyAsync(memory, weights, sizeof weights, cudaMemcpyHostToDevice, b->stream)) &&
             OK(cudaMemsetAsync(b->memory[0], 0, (size_t)pixels * sizeof(float), b->stream)) &&
             OK(cudaStreamSynchronize(b->stream));
    const double smoothing = ok ? time_of(b, smooth, &m) : 0;
    const double blending = smoothing > 0 ? time_of(b, blend, &m) : 0;
    ok = blending > 0;
    if (ok) {
        printf("smooth %lldx%lldx%lld %.2f %.4f %.1f\n", (long long)side, (long long)side, (long long)pictures, m.sigma,
               smoothing, 8e-6 * pixels / smoothing);
        printf("blend %lldx%lldx%lld 0 %.4f %.1f\n", 2 * (long long)side, 2 * (long long)side, (long long)pictures,
               blending, 28e-6 * pixels / blending);
    }
    return OK(cudaFree(memory)) && ok;
}

/* Random numbers between 1 and 2, of either sign, in every type: equal ones would take less power, and more clock. */
static int fill(bench *b, unsigned char *memory, size_t bytes)
{
    uint16_t *values = malloc(bytes);
    uint32_t state = 1;
    for (size_t i = 0; values && i < bytes / sizeof *values; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (uint16_t)(0x3c00 | (state >> 22) | (state >> 16 & 0x8000));
    }
    const int ok = values && OK(cudaMemcpyAsync(memory, values, bytes, cudaMemcpyHostToDevice, b->stream)) &&
                   OK(cudaStreamSynchronize(b->stream));
    free(values);
    return ok;
}

static int bench_open(bench *b, int ordinal)
{
    if (cuda_nvidia_open() != SAL_OK) {
        fprintf(stderr, "bench_gpu: %s\n", sal_last_error());
        return 0;
    }
    int ok = OK(cudaSetDevice(ordinal)) && OK(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking)) &&
             OK(cudaEventCreateWithFlags(&b->begin, cudaEventDefault)) &&
             OK(cudaEventCreateWithFlags(&b->end, cudaEventDefault)) &&
             (nvidia.cublasLtCreate(&b->blas) == CUBLAS_STATUS_SUCCESS || complain("cublasLtCreate"));
    ok = ok && OK(cudaMalloc(&b->workspace, WORKSPACE));
    for (int i = 0; ok && i < 3; i++) {
        const size_t bytes = (size_t)(b->side * b->side) * sizeof(float);
        ok = OK(cudaMalloc((void **)&b->memory[i], bytes)) && fill(b, b->memory[i], bytes);
    }
    return ok;
}

static int bench_close(bench *b)
{
    int ok = OK(cudaFree(b->workspace));
    for (int i = 0; i < 3; i++)
        ok = OK(cudaFree(b->memory[i])) && ok;
    if (b->blas)
        nvidia.cublasLtDestroy(b->blas);
    ok = (!b->begin || OK(cudaEventDestroy(b->begin))) && ok;
    ok = (!b->end || OK(cudaEventDestroy(b->end))) && ok;
    return (!b->stream || OK(cudaStreamDestroy(b->stream))) && ok;
}

int main(int argc, char **argv)
{
    const product products[] = {{.name = "fp32", .compute = CUBLAS_COMPUTE_32F, .type = CUDA_R_32F},
                                {.name = "tf32", .compute = CUBLAS_COMPUTE_32F_FAST_TF32, .type = CUDA_R_32F},
                                {.name = "bf16", .compute = CUBLAS_COMPUTE_32F, .type = CUDA_R_16BF},
                                {.name = "fp16", .compute = CUBLAS_COMPUTE_32F, .type = CUDA_R_16F}};
    const int small = argc > 2 && strcmp(argv[2], "small") == 0;
    bench b = {.side = small ? 128 : SIDE, .runs = small ? 1 : RUNS};
    int ok = bench_open(&b, argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
    for (size_t i = 0; ok && i < sizeof products / sizeof *products; i++)
        bench_product(&b, products[i]);
    ok = ok && bench_copy(&b); /* the clock is up by now */
    if (small)
        ok = ok && bench_maps(&b, 40, 2);
    else
        ok = ok && bench_maps(&b, 224, 64) && bench_maps(&b, 512, 16) && bench_maps(&b, 1024, 4);
    return bench_close(&b) && ok ? 0 : 1;
}
