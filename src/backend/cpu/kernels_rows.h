/* Loops over values in rows: softmax and layer norm along the last axis, weighted and plain sums along any.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_ROWS_H
#define SAL_BACKEND_CPU_KERNELS_ROWS_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

/* Sums of a row run in so many chains, which are added in pairs: short chains of additions, and vectors. */
enum { ROW_CHAINS = 2 * BLOCK };

static inline float row_total(float *part)
{
    for (int half = ROW_CHAINS / 2; half >= 1; half /= 2)
        for (int l = 0; l < half; l++)
            part[l] += part[l + half];
    return part[0];
}

/* The sum over i of `term`, in which i is the element. */
#define ROW_SUM(sum, n, term)                                                                                          \
    do {                                                                                                               \
        float part[ROW_CHAINS] = {0};                                                                                  \
        size_t row_at = 0;                                                                                             \
        for (; row_at + ROW_CHAINS <= (n); row_at += ROW_CHAINS)                                                       \
            for (size_t row_lane = 0; row_lane < ROW_CHAINS; row_lane++) {                                             \
                const size_t i = row_at + row_lane;                                                                    \
                part[row_lane] += (term);                                                                              \
            }                                                                                                          \
        for (size_t i = row_at; i < (n); i++)                                                                          \
            part[i - row_at] += (term);                                                                                \
        (sum) = row_total(part);                                                                                       \
    } while (0)

static inline float row_maximum(const float *x, size_t n)
{
    float part[ROW_CHAINS], most;
    size_t at = 0;
    for (int l = 0; l < ROW_CHAINS; l++)
        part[l] = x[0];
    for (; at + ROW_CHAINS <= n; at += ROW_CHAINS)
        for (int l = 0; l < ROW_CHAINS; l++)
            part[l] = x[at + (size_t)l] > part[l] ? x[at + (size_t)l] : part[l];
    most = part[0];
    for (int l = 1; l < ROW_CHAINS; l++)
        most = part[l] > most ? part[l] : most;
    for (; at < n; at++)
        most = x[at] > most ? x[at] : most;
    return most;
}

static void softmax(float *y, const float *x, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float most = row_maximum(x, n);
        float sum;
        for (size_t i = 0; i < n; i++) {
            const float v = x[i] - most;
            y[i] = v < -87.0f ? 0.0f : math_exp(v);
        }
        ROW_SUM(sum, n, y[i]);
        const float factor = 1.0f / sum;
        for (size_t i = 0; i < n; i++)
            y[i] *= factor;
    }
}

/* dx = y (dy - sum(dy y)) */
static void softmax_backward(float *dx, const float *dy, const float *y, const float *addend, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, dx += n, dy += n, y += n) {
        float dot;
        ROW_SUM(dot, n, dy[i] * y[i]);
        if (addend)
            for (size_t i = 0; i < n; i++)
                dx[i] = y[i] * (dy[i] - dot) + addend[r * n + i];
        else
            for (size_t i = 0; i < n; i++)
                dx[i] = y[i] * (dy[i] - dot);
    }
}

static inline void row_moments(float *mean, float *rstd, const float *x, size_t n, float epsilon)
{
    float sum, squares;
    ROW_SUM(sum, n, x[i]);
    const float centre = sum / (float)n;
    ROW_SUM(squares, n, (x[i] - centre) * (x[i] - centre));
    *mean = centre;
    *rstd = 1.0f / sqrtf(squares / (float)n + epsilon);
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, float epsilon, size_t rows,
                       size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float mean, rstd;
        row_moments(&mean, &rstd, x, n, epsilon);
        if (bias)
            for (size_t i = 0; i < n; i++)
                y[i] = (x[i] - mean) * rstd * weight[i] + bias[i];
        else
            for (size_t i = 0; i < n; i++)
                y[i] = (x[i] - mean) * rstd * weight[i];
    }
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy * weight: Ba et al. 2016, differentiated. */
static void layer_norm_backward(float *dx, const float *dy, const float *x, const float *weight, const float *addend,
                                float epsilon, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, x += n, dy += n, dx += n) {
        float mean, rstd, sum, dot;
        row_moments(&mean, &rstd, x, n, epsilon);
        ROW_SUM(sum, n, dy[i] * weight[i]);
        ROW_SUM(dot, n, dy[i] * weight[i] * ((x[i] - mean) * rstd));
        sum /= (float)n;
        dot /= (float)n;
        if (addend)
            for (size_t i = 0; i < n; i++)
                dx[i] = rstd * (dy[i] * weight[i] - sum - (x[i] - mean) * rstd * dot) + addend[r * n + i];
        else
            for (size_t i = 0; i < n; i++)
                dx[i] = rstd * (dy[i] * weight[i] - sum - (x[i] - mean) * rstd * dot);
    }
}

/* ---- Along an axis with `inner` elements behind it ------------------------ */

static inline void combine_line(float *y, const float *x, const float *addend, const cpu_taps *t, int64_t o,
                                size_t inner)
{
    int64_t k = t->start[o];
    if (k == t->start[o + 1]) {
        for (size_t i = 0; i < inner; i++)
            y[i] = addend ? addend[i] : 0.0f;
        return;
    }
    for (; k < t->start[o + 1]; k++) {
        const float *from = x + (size_t)t->index[k] * inner, w = t->weight[k];
        const float *before = k > t->start[o] ? y : addend;
        if (before)
            for (size_t i = 0; i < inner; i++)
                y[i] = math_fma(w, from[i], before[i]);
        else
            for (size_t i = 0; i < inner; i++)
                y[i] = w * from[i];
    }
}

static void combine(float *y, const float *x, const float *addend, const cpu_taps *t, int64_t first, int64_t count,
                    size_t inner)
{
    for (int64_t o = first; o < first + count; o++) {
        if (inner > 1) {
            combine_line(y + (size_t)o * inner, x, addend ? addend + (size_t)o * inner : NULL, t, o, inner);
            continue;
        }
        float sum = addend ? addend[o] : 0.0f;
        for (int64_t k = t->start[o]; k < t->start[o + 1]; k++)
            sum = math_fma(t->weight[k], x[t->index[k]], sum);
        y[o] = sum;
    }
}

/* So many terms go into one sum before that is added to the whole. */
enum { SUM_TERMS = 64 };

static void sum_axis(float *y, const float *x, const float *addend, float factor, size_t n, size_t stride, size_t count)
{
    if (stride == 1) {
        float sum;
        ROW_SUM(sum, n, x[i]);
        y[0] = math_fma(sum, factor, addend ? addend[0] : 0.0f);
        return;
    }
    for (size_t at = 0; at < count; at += ROW_CHAINS) {
        const size_t m = count - at < ROW_CHAINS ? count - at : ROW_CHAINS;
        float whole[ROW_CHAINS] = {0};
        for (size_t k = 0; k < n;) {
            const size_t end = n - k < SUM_TERMS ? n : k + SUM_TERMS;
            float part[ROW_CHAINS] = {0};
            for (; k < end; k++)
                for (size_t l = 0; l < m; l++)
                    part[l] += x[k * stride + at + l];
            for (size_t l = 0; l < m; l++)
                whole[l] += part[l];
        }
        for (size_t l = 0; l < m; l++)
            y[at + l] = math_fma(whole[l], factor, addend ? addend[at + l] : 0.0f);
    }
}

#endif
