/* The arithmetic that methods of several passes repeat, shared by the CPU's loops and the CUDA kernels: both give the
 * same bits, on every processor. Products and sums that belong together are written as fmaf, and nothing else is a
 * product next to a sum, so that no compiler may join them as it likes. No memory, no loops over pictures. */
#ifndef SAL_BACKEND_METHOD_MATH_H
#define SAL_BACKEND_METHOD_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define SAL_METHOD_MATH static inline __host__ __device__
#else
#define SAL_METHOD_MATH static inline
#endif

/* ---- Noise ---------------------------------------------------------------- */

/* Where noise comes from: nothing of it is a place in a list or in a batch. */
typedef struct sal_noise {
    uint64_t picture; /* digest of the prepared input */
    uint64_t run;     /* seed of the run */
    float deviation;  /* standard */
} sal_noise;

/* Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four words for a counter of four
 * words and a key of two. */
SAL_METHOD_MATH void sal_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* ln u of a u in (0, 1) that is no denormal, to about a unit of the last place: u = 2^e m with m from sqrt(1/2) on, and
 * ln m = 2 artanh((m - 1) / (m + 1)). */
SAL_METHOD_MATH float sal_noise_log(float u)
{
    uint32_t bits;
    float m;
    memcpy(&bits, &u, sizeof bits);
    const int up = (bits & 0x7FFFFFu) >= 0x3504F3u; /* of sqrt 2 */
    const float e = (float)((int)(bits >> 23) - 127 + up);
    bits = (bits & 0x7FFFFFu) | (up ? 126u << 23 : 127u << 23);
    memcpy(&m, &bits, sizeof m);
    const float s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
    float series = fmaf(s2, 1.0f / 9.0f, 1.0f / 7.0f);
    series = fmaf(s2, series, 1.0f / 5.0f);
    series = fmaf(s2, series, 1.0f / 3.0f);
    series = fmaf(s2, series, 1.0f);
    const float twice = s + s;
    return fmaf(e, 0.693147180559945f, twice * series);
}

/* Sine and cosine of 2 pi u, 0 <= u < 1: what is left of a quarter turn by their series. */
SAL_METHOD_MATH void sal_noise_turn(float *sine, float *cosine, float u)
{
    const float t = u * 4.0f;
    const int quarter = (int)(t + 0.5f);
    const float a = (t - (float)quarter) * 1.57079632679490f, a2 = a * a;
    float s = fmaf(a2, 1.0f / 362880.0f, -1.0f / 5040.0f);
    s = fmaf(a2, s, 1.0f / 120.0f);
    s = fmaf(a2, s, -1.0f / 6.0f);
    s = fmaf(a2, s, 1.0f);
    s = s * a;
    float c = fmaf(a2, -1.0f / 3628800.0f, 1.0f / 40320.0f);
    c = fmaf(a2, c, -1.0f / 720.0f);
    c = fmaf(a2, c, 1.0f / 24.0f);
    c = fmaf(a2, c, -0.5f);
    c = fmaf(a2, c, 1.0f);
    const float across = quarter & 1 ? c : s, along = quarter & 1 ? s : c;
    *sine = quarter & 2 ? -across : across;
    *cosine = (quarter + 1) & 2 ? -along : along;
}

/* Two independent standard normal numbers of two words (Box and Muller 1958). */
SAL_METHOD_MATH void sal_noise_pair(float out[2], uint32_t a, uint32_t b)
{
    float sine, cosine;
    const float u = ((float)(a >> 9) + 0.5f) * 0x1p-23f;
    const float length = sqrtf(-2.0f * sal_noise_log(u));
    sal_noise_turn(&sine, &cosine, (float)(b >> 8) * 0x1p-24f);
    out[0] = length * cosine;
    out[1] = length * sine;
}

/* Standard normal numbers of the elements 4 `group` to 4 `group` + 3, in row-major order of (C, H, W). */
SAL_METHOD_MATH void sal_noise_normals(float out[4], const sal_noise *noise, uint32_t sample, uint32_t group)
{
    const uint32_t key[2] = {(uint32_t)noise->picture, (uint32_t)(noise->picture >> 32)};
    const uint32_t counter[4] = {group, sample, (uint32_t)noise->run, (uint32_t)(noise->run >> 32)};
    uint32_t words[4];
    sal_philox(words, counter, key);
    sal_noise_pair(out, words[0], words[1]);
    sal_noise_pair(out + 2, words[2], words[3]);
}

SAL_METHOD_MATH float sal_perturbed(float x, float deviation, float normal)
{
    return fmaf(deviation, normal, x);
}

/* ---- Between two inputs, and what is made of many gradients ---------------- */

/* from + t (x - from). */
SAL_METHOD_MATH float sal_between(float from, float x, float t)
{
    const float way = x - from;
    return fmaf(t, way, from);
}

/* Welford 1962: *mean and *spread (sum of squared deviations) of number - 1 values become those of `number` of them, x
 * the last. `share` is 1 / number. */
SAL_METHOD_MATH void sal_welford(float *mean, float *spread, float x, float share)
{
    const float before = x - *mean;
    *mean = fmaf(before, share, *mean);
    const float after = x - *mean;
    *spread = fmaf(before, after, *spread);
}

#endif
