/* Compiled once per instruction set with CPU_KERNELS naming the table; the compiler
 * turns these loops into vector code. See kernels.h for the contracts. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/kernels_dense.h"
#include "backend/cpu/kernels_first.h"
#include "backend/cpu/kernels_math.h"
#include "backend/cpu/kernels_method.h"
#include "backend/cpu/kernels_pool.h"
#include "backend/cpu/kernels_products.h"
#include "backend/cpu/kernels_rows.h"
#if defined(__AVX2__)
#include "backend/cpu/kernels_winograd.h"
#endif

#include <string.h>

/* ---- Masks -------------------------------------------------------------- */

static void mask_between(uint8_t *mask, const float *y, size_t n, float low, float high)
{
#if defined(__AVX512F__)
    const __m512 l = _mm512_set1_ps(low), h = _mm512_set1_ps(high);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_loadu_ps(y + i);
        __mmask16 m = _mm512_cmp_ps_mask(v, l, _CMP_GT_OQ) & _mm512_cmp_ps_mask(v, h, _CMP_LT_OQ);
        memcpy(mask + i / 8, &m, 2);
    }
    for (; i < n; i += 8) {
        __m512 v = _mm512_maskz_loadu_ps(0xff, y + i);
        mask[i / 8] = (uint8_t)(_mm512_cmp_ps_mask(v, l, _CMP_GT_OQ) & _mm512_cmp_ps_mask(v, h, _CMP_LT_OQ));
    }
#elif defined(__AVX2__)
    const __m256 l = _mm256_set1_ps(low), h = _mm256_set1_ps(high);
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_loadu_ps(y + i);
        __m256 in = _mm256_and_ps(_mm256_cmp_ps(v, l, _CMP_GT_OQ), _mm256_cmp_ps(v, h, _CMP_LT_OQ));
        mask[i / 8] = (uint8_t)_mm256_movemask_ps(in);
    }
#else
    for (size_t i = 0; i < n; i += 8) {
        unsigned bits = 0;
        for (unsigned k = 0; k < 8; k++)
            bits |= (unsigned)(y[i + k] > low && y[i + k] < high) << k;
        mask[i / 8] = (uint8_t)bits;
    }
#endif
}

/* Eight factors: 1 where the bit is set, slope elsewhere. */
static inline void unpack_bits(float *factor, uint8_t bits, float slope)
{
    for (unsigned k = 0; k < 8; k++)
        factor[k] = (bits >> k & 1) ? 1.0f : slope;
}

static inline float under_rule(float dy, float gradient, float input_positive, int rule)
{
    float positive = dy > 0.0f ? dy : 0.0f;
    switch (rule) {
    case SAL_RULE_GUIDED: return dy > 0.0f && input_positive > 0.0f ? gradient : 0.0f;
    case SAL_RULE_DECONVNET: return positive;
    case SAL_RULE_RECTIFIED: return dy * input_positive > 0.0f ? gradient : 0.0f;
    default: return gradient;
    }
}

static void mask_backward_rule(float *dx, const float *dy, const uint8_t *mask, const float *addend, size_t n,
                               float slope, int rule)
{
    for (size_t i = 0; i < n; i += 8) {
        float factor[8];
        unpack_bits(factor, mask[i / 8], slope);
        for (size_t k = 0; k < 8; k++) {
            float sign = (mask[i / 8] >> k & 1) ? 1.0f : -1.0f;
            float g = under_rule(dy[i + k], dy[i + k] * factor[k], sign, rule);
            dx[i + k] = addend ? g + addend[i + k] : g;
        }
    }
}

static void mask_backward(float *dx, const float *dy, const uint8_t *mask, const float *addend, size_t n, float slope,
                          int rule)
{
    if (rule != SAL_RULE_GRADIENT) {
        mask_backward_rule(dx, dy, mask, addend, n, slope, rule);
        return;
    }
    size_t i = 0;
#if defined(__AVX512F__)
    const __m512 s = _mm512_set1_ps(slope);
    for (; i + 16 <= n; i += 16) {
        __mmask16 m;
        memcpy(&m, mask + i / 8, 2);
        __m512 v = _mm512_loadu_ps(dy + i);
        v = _mm512_mask_blend_ps(m, _mm512_mul_ps(v, s), v);
        if (addend)
            v = _mm512_add_ps(v, _mm512_loadu_ps(addend + i));
        _mm512_storeu_ps(dx + i, v);
    }
#elif defined(__AVX2__)
    const __m256 s = _mm256_set1_ps(slope), one = _mm256_set1_ps(1.0f);
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const int is_exact = slope == 0.0f || !addend; /* else the loop below rounds otherwise */
    for (; is_exact && i < n; i += 8) {
        const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask[i / 8]), bit), bit);
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(dy + i), _mm256_blendv_ps(s, one, _mm256_castsi256_ps(set)));
        if (addend)
            v = _mm256_add_ps(v, _mm256_loadu_ps(addend + i));
        _mm256_storeu_ps(dx + i, v);
    }
#endif
    for (; i < n; i += 8) {
        float factor[8];
        unpack_bits(factor, mask[i / 8], slope);
        for (size_t k = 0; k < 8; k++) {
            float g = dy[i + k] * factor[k];
            dx[i + k] = addend ? g + addend[i + k] : g;
        }
    }
}

/* ---- Elementwise -------------------------------------------------------- */

#define EACH(expression)                                                                                               \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        float v = x[i];                                                                                                \
        y[i] = (expression);                                                                                           \
    }                                                                                                                  \
    break

static void activation(float *y, const float *x, size_t n, const sal_activation *a)
{
    const float alpha = a->alpha, beta = a->beta;
    switch (a->kind) {
    case SAL_ACT_RELU: EACH(v > 0.0f ? v : 0.0f);
    case SAL_ACT_CLIP: EACH(v < alpha ? alpha : v > beta ? beta : v);
    case SAL_ACT_LEAKY_RELU: EACH(v > 0.0f ? v : alpha * v);
    case SAL_ACT_ELU: EACH(v > 0.0f ? v : alpha * math_expm1(v));
    case SAL_ACT_SIGMOID: EACH(math_sigmoid(v));
    case SAL_ACT_TANH: EACH(math_tanh(v));
    case SAL_ACT_SOFTPLUS: EACH(math_softplus(v));
    case SAL_ACT_SILU: EACH(v * math_sigmoid(v));
    case SAL_ACT_GELU: EACH(v * math_normal_cdf(v));
    case SAL_ACT_GELU_TANH: EACH(v * math_gelu_tanh_gate(v));
    case SAL_ACT_HARD_SIGMOID: EACH(math_clamp01(alpha * v + beta));
    case SAL_ACT_HARD_SWISH: EACH(v * math_clamp01(v * (1.0f / 6.0f) + 0.5f));
    case SAL_ACT_EXP: EACH(math_exp(v)); /* at most e^88: padding stays finite */
    case SAL_ACT_SOFTSIGN: EACH(v / (1.0f + fabsf(v)));
    case SAL_ACT_SQUAREPLUS: EACH(math_squareplus(v, alpha));
    case SAL_ACT_THRESHOLD: EACH(v > alpha ? v : 0.0f);
    case SAL_ACT_ABS: EACH(fabsf(v));
    case SAL_ACT_SIGN: EACH(math_sign(v));
    case SAL_ACT_SQRT: EACH(sqrtf(v));
    case SAL_ACT_RECIPROCAL: EACH(1.0f / v);
    case SAL_ACT_POWER: EACH((float)pow((double)v, (double)alpha));
    case SAL_ACT_LOG: EACH((float)log((double)v));
    case SAL_ACT_SIN: EACH((float)sin((double)v));
    case SAL_ACT_COS: EACH((float)cos((double)v));
    case SAL_ACT_NONE:
    case SAL_ACT_COUNT: memmove(y, x, n * sizeof *y); break;
    }
}

/* f'(x) from x, or from y = f(x) where that is what is kept. */
static void derivative(float *y, const float *x, size_t n, const sal_activation *a)
{
    const float alpha = a->alpha, beta = a->beta;
    switch (a->kind) {
    case SAL_ACT_RELU: EACH(v > 0.0f ? 1.0f : 0.0f);
    case SAL_ACT_CLIP: EACH(v > alpha && v < beta ? 1.0f : 0.0f);
    case SAL_ACT_LEAKY_RELU: EACH(v > 0.0f ? 1.0f : alpha);
    case SAL_ACT_ELU: EACH(v > 0.0f ? 1.0f : alpha * math_exp(v));
    case SAL_ACT_SIGMOID: EACH(v * (1.0f - v));
    case SAL_ACT_TANH: EACH(1.0f - v * v);
    case SAL_ACT_SOFTPLUS: EACH(math_sigmoid(v));
    case SAL_ACT_SILU: EACH(math_silu_derivative(v));
    case SAL_ACT_GELU: EACH(math_normal_cdf(v) + v * math_normal_density(v));
    case SAL_ACT_GELU_TANH: EACH(math_gelu_tanh_derivative(v));
    case SAL_ACT_HARD_SIGMOID: EACH(alpha * v + beta > 0.0f && alpha * v + beta < 1.0f ? alpha : 0.0f);
    case SAL_ACT_HARD_SWISH: EACH(v <= -3.0f ? 0.0f : v >= 3.0f ? 1.0f : v * (1.0f / 3.0f) + 0.5f);
    case SAL_ACT_EXP: EACH(v);
    case SAL_ACT_SOFTSIGN: EACH((1.0f - fabsf(v)) * (1.0f - fabsf(v)));
    case SAL_ACT_SQUAREPLUS: EACH(math_squareplus(v, alpha) / sqrtf(v * v + alpha));
    case SAL_ACT_THRESHOLD: EACH(v > alpha ? 1.0f : 0.0f);
    case SAL_ACT_ABS: EACH(math_sign(v));
    case SAL_ACT_SIGN: EACH(v * 0.0f);
    case SAL_ACT_SQRT: EACH(0.5f / v);
    case SAL_ACT_RECIPROCAL: EACH(-v * v);
    case SAL_ACT_POWER: EACH(alpha == 0.0f ? 0.0f : (float)((double)alpha * pow((double)v, (double)alpha - 1.0)));
    case SAL_ACT_LOG: EACH(1.0f / v);
    case SAL_ACT_SIN: EACH((float)cos((double)v));
    case SAL_ACT_COS: EACH((float)-sin((double)v));
    case SAL_ACT_NONE:
    case SAL_ACT_COUNT:
        for (size_t i = 0; i < n; i++)
            y[i] = 1.0f;
        break;
    }
}

static void activation_backward(float *dx, const float *dy, const float *kept, const float *addend, size_t n,
                                const sal_activation *a, int rule)
{
    enum { PIECE = 256 };
    float slope[PIECE];
    /* What is kept where the input is 0: of sigmoid and exp it is the output. */
    const float zero = a->kind == SAL_ACT_SIGMOID ? 0.5f : a->kind == SAL_ACT_EXP ? 1.0f : 0.0f;
    for (size_t at = 0; at < n; at += PIECE) {
        size_t m = n - at < PIECE ? n - at : PIECE;
        derivative(slope, kept + at, m, a);
        const float *d = dy + at, *k = kept + at;
        if (rule == SAL_RULE_GRADIENT)
            for (size_t i = 0; i < m; i++)
                slope[i] *= d[i];
        else
            for (size_t i = 0; i < m; i++)
                slope[i] = under_rule(d[i], d[i] * slope[i], k[i] - zero, rule);
        if (addend)
            for (size_t i = 0; i < m; i++)
                dx[at + i] = slope[i] + addend[at + i];
        else
            memcpy(dx + at, slope, m * sizeof *slope);
    }
}

static void add(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void multiply(float *y, const float *a, const float *b, const float *addend, size_t n)
{
    if (addend)
        for (size_t i = 0; i < n; i++)
            y[i] = a[i] * b[i] + addend[i];
    else
        for (size_t i = 0; i < n; i++)
            y[i] = a[i] * b[i];
}

static void scale(float *y, const float *x, const float *addend, size_t n, float factor)
{
    if (addend)
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * factor + addend[i];
    else
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * factor;
}

/* ---- Per channel -------------------------------------------------------- */

static void affine(float *y, const float *x, const float *factor, const float *shift, const float *addend,
                   size_t pixels)
{
    float f[BLOCK], s[BLOCK];
    for (int l = 0; l < BLOCK; l++) {
        f[l] = factor[l];
        s[l] = shift ? shift[l] : 0.0f;
    }
    for (size_t p = 0; p < pixels; p++, x += BLOCK, y += BLOCK)
        for (int l = 0; l < BLOCK; l++)
            y[l] = x[l] * f[l] + (addend ? addend[p * BLOCK + (size_t)l] + s[l] : s[l]);
}

/* Four partial sums: short chains of additions, and the same order for any number of threads. */
static void dot_pixels(float *sum, const float *a, const float *b, size_t pixels)
{
    float part[4][BLOCK];
    memset(part, 0, sizeof part);
    for (size_t p = 0; p < pixels; p++)
        for (int l = 0; l < BLOCK; l++)
            part[p % 4][l] += b ? a[p * BLOCK + (size_t)l] * b[p * BLOCK + (size_t)l] : a[p * BLOCK + (size_t)l];
    for (int l = 0; l < BLOCK; l++)
        sum[l] = (part[0][l] + part[1][l]) + (part[2][l] + part[3][l]);
}

static void spread(float *y, const float *x, float factor, const float *addend, size_t pixels)
{
    float v[BLOCK];
    for (int l = 0; l < BLOCK; l++)
        v[l] = x[l] * factor;
    for (size_t p = 0; p < pixels; p++)
        for (int l = 0; l < BLOCK; l++)
            y[p * BLOCK + (size_t)l] = addend ? v[l] + addend[p * BLOCK + (size_t)l] : v[l];
}

const cpu_kernels CPU_KERNELS = {
#if defined(__AVX512F__)
    .name = "avx512",
#elif defined(__AVX2__)
    .name = "avx2",
#else
    .name = "baseline",
#endif
    .block = BLOCK,
    .mask_between = mask_between,
    .activation = activation,
    .mask_backward = mask_backward,
    .activation_backward = activation_backward,
    .add = add,
    .multiply = multiply,
    .scale = scale,
    .affine = affine,
    .dot_pixels = dot_pixels,
    .spread = spread,
    .max_pool = max_pool,
    .max_pool_backward = max_pool_backward,
    .avg_pool = avg_pool,
    .avg_pool_backward = avg_pool_backward,
    .dense = dense,
    .dense_backward = dense_backward,
    .first_products = first_products,
#if defined(__AVX2__)
    .winograd = winograd,
    .winograd_scratch = winograd_scratch,
#endif
    .product = product,
    .product_pack = product_pack,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .combine = combine,
    .sum_axis = sum_axis,
    .perturb = perturb,
    .between = between,
    .accumulate = accumulate,
};
