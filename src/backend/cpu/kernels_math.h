/* Elementary functions without branches, so that loops over them become vector code.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_MATH_H
#define SAL_BACKEND_CPU_KERNELS_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define BLOCK 16
#else
#define BLOCK 8
#endif

/* One channel block of a pixel. */
typedef float lanes __attribute__((vector_size(BLOCK * sizeof(float))));
typedef int32_t whole_lanes __attribute__((vector_size(BLOCK * sizeof(int32_t))));

static inline lanes lanes_load(const float *p)
{
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void lanes_store(float *p, lanes v)
{
    memcpy(p, &v, sizeof v);
}

/* Bits of b where the mask is set, of a elsewhere. */
static inline whole_lanes choose(whole_lanes a, whole_lanes b, whole_lanes mask)
{
    return (b & mask) | (a & ~mask);
}

/* a b + c, rounded once where the processor does that at no cost. The compiler contracts a product and a sum by itself
 * in some copies of a loop and not in others: whoever has two that must agree in every bit says it. */
static inline float math_fma(float a, float b, float c)
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2: ln 2 in two parts (Cody and
 * Waite 1980), e^r by its Taylor series to r^7, whose remainder is below 2^-27 there. */
static inline float math_exp(float x)
{
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = (p * r) * r + r + 1.0f;
    /* The low bits of `shifted` are n; those of the magic number leave by the shift. */
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float math_sigmoid(float x)
{
    return 1.0f / (1.0f + math_exp(-x));
}

/* e^x - 1 for x <= 0: the series near 0, where e^x and 1 cancel. */
static inline float math_expm1(float x)
{
    float s = x * (1.0f + x * (0.5f + x * (1.66666667e-1f + x * (4.16666667e-2f + x * 8.33333333e-3f))));
    float e = math_exp(x) - 1.0f;
    return x > -0.1f ? s : e;
}

/* tanh x = (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; near 0 its series. */
static inline float math_tanh(float x)
{
    float a = x < 0.0f ? -x : x;
    float q = -math_expm1(-2.0f * a);
    float t = q / (2.0f - q);
    return x < 0.0f ? -t : t;
}

/* ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|); the logarithm of 1 + u, 0 <= u <= 1, as
 * 2 artanh(u / (2 + u)), whose series in z <= 1/3 falls below 2^-26 after z^13. */
static inline float math_softplus(float x)
{
    float a = x < 0.0f ? -x : x;
    float u = math_exp(-a);
    float z = u / (2.0f + u), w = z * z;
    float p = 1.0f / 15.0f;
    p = p * w + 1.0f / 13.0f;
    p = p * w + 1.0f / 11.0f;
    p = p * w + 1.0f / 9.0f;
    p = p * w + 1.0f / 7.0f;
    p = p * w + 1.0f / 5.0f;
    p = p * w + 1.0f / 3.0f;
    p = p * w + 1.0f;
    return (x > 0.0f ? x : 0.0f) + 2.0f * z * p;
}

/* The sum would lose the digits of a negative x. */
static inline float math_squareplus(float x, float alpha)
{
    float root = sqrtf(x * x + alpha);
    return x > 0.0f ? 0.5f * (x + root) : 0.5f * alpha / (root - x);
}

static inline float math_sign(float x)
{
    return (float)((x > 0.0f) - (x < 0.0f));
}

static inline float math_clamp01(float x)
{
    x = x < 0.0f ? 0.0f : x;
    return x > 1.0f ? 1.0f : x;
}

/* s(x) (1 + x (1 - s(x))), s the sigmoid */
static inline float math_silu_derivative(float x)
{
    float s = math_sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

/* The normal distribution at -|x| is e^(-x^2 / 2) Q(t), t = 1 / (1 + 0.34 |x|), in the form of
 * Zelen and Severo 1964 (26.2.17); Q fitted to a relative error of 3e-8 for |x| <= 14, so that
 * the tail keeps its digits. */
static inline float math_normal_cdf(float x)
{
    float a = x < 0.0f ? -x : x;
    float t = 1.0f / (1.0f + 0.34f * a);
    float q = -2.612122332e-2f;
    q = q * t + 1.395027816e-1f;
    q = q * t - 2.731388233e-1f;
    q = q * t + 2.021888161e-1f;
    q = q * t - 4.472215121e-2f;
    q = q * t + 1.153605172e-1f;
    q = q * t + 1.151973652e-1f;
    q = q * t + 1.361122311e-1f;
    q = q * t + 1.356205018e-1f;
    q = q * t * math_exp(-0.5f * a * a);
    return x < 0.0f ? q : 1.0f - q;
}

static inline float math_normal_density(float x)
{
    return 0.398942280f * math_exp(-0.5f * x * x);
}

/* (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3), written as a sigmoid of 2u */
static inline float math_gelu_tanh_gate(float x)
{
    return math_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

static inline float math_gelu_tanh_derivative(float x)
{
    float g = math_gelu_tanh_gate(x);
    float slope = 1.59576912f * (1.0f + 0.134145f * x * x);
    return g + x * g * (1.0f - g) * slope;
}

#endif
