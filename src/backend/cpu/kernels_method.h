/* What methods of several passes do to each element, as loops that become vector code; noise by groups of four
 * elements, many groups side by side. Arithmetic as in method_math.h.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_METHOD_H
#define SAL_BACKEND_CPU_KERNELS_METHOD_H

#include "backend/backend.h"

enum { NOISE_GROUPS = 64, NOISE_ELEMENTS = 4 * NOISE_GROUPS };

static void noise_words(uint32_t words[4][NOISE_GROUPS], const sal_noise *noise, uint32_t sample, uint32_t first)
{
    const uint32_t key[2] = {(uint32_t)noise->picture, (uint32_t)(noise->picture >> 32)};
    const uint32_t run[2] = {(uint32_t)noise->run, (uint32_t)(noise->run >> 32)};
    for (uint32_t g = 0; g < NOISE_GROUPS; g++) {
        const uint32_t counter[4] = {first + g, sample, run[0], run[1]};
        uint32_t out[4];
        sal_philox(out, counter, key);
        for (int k = 0; k < 4; k++)
            words[k][g] = out[k];
    }
}

/* Two words a group in the place of the two normals they make, as floats. */
static void noise_pairs(float first[NOISE_GROUPS], float second[NOISE_GROUPS], const uint32_t a[NOISE_GROUPS],
                        const uint32_t b[NOISE_GROUPS])
{
    for (int g = 0; g < NOISE_GROUPS; g++) {
        float pair[2];
        sal_noise_pair(pair, a[g], b[g]);
        first[g] = pair[0];
        second[g] = pair[1];
    }
}

/* n elements from number 4 * `group` of a picture on. */
static void perturb(float *to, const float *x, const sal_noise *noise, uint32_t sample, uint32_t group, size_t n)
{
    uint32_t words[4][NOISE_GROUPS];
    float normals[4][NOISE_GROUPS];
    for (size_t at = 0; at < n; at += NOISE_ELEMENTS, group += NOISE_GROUPS) {
        const size_t count = n - at < NOISE_ELEMENTS ? n - at : NOISE_ELEMENTS;
        noise_words(words, noise, sample, group);
        noise_pairs(normals[0], normals[1], words[0], words[1]);
        noise_pairs(normals[2], normals[3], words[2], words[3]);
        for (size_t i = 0; i < count; i++)
            to[at + i] = sal_perturbed(x[at + i], noise->deviation, normals[i % 4][i / 4]);
    }
}

static void between(float *to, const float *from, const float *x, float t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = sal_between(from ? from[i] : 0.0f, x[i], t);
}

static void accumulate(float *sum, float *spread, const float *x, sal_accumulate kind, float weight, size_t n)
{
    switch (kind) {
    case SAL_ACCUMULATE_SUM:
        for (size_t i = 0; i < n; i++)
            sum[i] = fmaf(weight, x[i], sum[i]);
        break;
    case SAL_ACCUMULATE_SQUARES:
        for (size_t i = 0; i < n; i++)
            sum[i] = fmaf(weight * x[i], x[i], sum[i]);
        break;
    case SAL_ACCUMULATE_WELFORD:
        for (size_t i = 0; i < n; i++)
            sal_welford(&sum[i], &spread[i], x[i], weight);
        break;
    }
}

#endif
