/* Dense layers: bound by reading the weights, so each weight is read once for up to
 * four pictures. The order of additions and their rounding do not depend on how many there are.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_DENSE_H
#define SAL_BACKEND_CPU_KERNELS_DENSE_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

enum { DENSE_ROWS = 4 };

static inline void dense_rows(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w,
                              const float *bias, size_t outputs, size_t n, const int rows)
{
    for (size_t o = 0; o < outputs; o++, w += n) {
        float sum[DENSE_ROWS][2 * BLOCK];
        for (int r = 0; r < rows; r++)
            for (int l = 0; l < 2 * BLOCK; l++)
                sum[r][l] = 0.0f;
        size_t i = 0;
        for (; i + 2 * BLOCK <= n; i += 2 * BLOCK)
            for (int r = 0; r < rows; r++)
                for (int l = 0; l < 2 * BLOCK; l++)
                    sum[r][l] = math_fma(w[i + (size_t)l], x[(size_t)r * x_stride + i + (size_t)l], sum[r][l]);
        for (int r = 0; r < rows; r++) {
            float rest = 0.0f;
            for (size_t k = i; k < n; k++)
                rest = math_fma(w[k], x[(size_t)r * x_stride + k], rest);
            for (int half = BLOCK; half >= 1; half /= 2)
                for (int l = 0; l < half; l++)
                    sum[r][l] += sum[r][l + half];
            y[(size_t)r * y_stride + o] = sum[r][0] + rest + (bias ? bias[o] : 0.0f);
        }
    }
}

static void dense(float *y, size_t y_stride, const float *x, size_t x_stride, size_t rows, const float *w,
                  const float *bias, size_t outputs, size_t n)
{
    size_t r = 0;
    for (; r + DENSE_ROWS <= rows; r += DENSE_ROWS)
        dense_rows(y + r * y_stride, y_stride, x + r * x_stride, x_stride, w, bias, outputs, n, DENSE_ROWS);
    for (; r < rows; r++)
        dense_rows(y + r * y_stride, y_stride, x + r * x_stride, x_stride, w, bias, outputs, n, 1);
}

static void dense_backward(float *dx, size_t dx_stride, const float *dy, size_t dy_stride, size_t rows, const float *w,
                           size_t w_stride, size_t outputs, size_t n)
{
    for (size_t o = 0; o < outputs; o++, w += w_stride)
        for (size_t r = 0; r < rows; r++) {
            float g = dy[r * dy_stride + o];
            float *to = dx + r * dx_stride;
            for (size_t i = 0; i < n; i++)
                to[i] = math_fma(g, w[i], to[i]);
        }
}

#endif
