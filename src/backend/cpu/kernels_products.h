/* Products of matrices in rows: a block of rows times a panel of two vectors of columns stays in registers over the
 * whole depth. Each sum runs over the depth in its order and is rounded alike in blocks of any number of rows: the same
 * picture has the same bits in any batch and on any number of threads.
 * Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_PRODUCTS_H
#define SAL_BACKEND_CPU_KERNELS_PRODUCTS_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

/* So many rows of sums stay in registers: 32 of them with AVX-512, 16 else. */
enum { PRODUCT_ROWS = BLOCK == 16 ? 12 : 6 };

#define PRODUCT_INLINE static inline __attribute__((always_inline))

/* a b + c, rounded once where the processor can. */
PRODUCT_INLINE lanes product_fma(float a, lanes b, lanes c)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (lanes)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* One row of sums into y. A full row needs no way round. */
PRODUCT_INLINE void product_store(float *y, const lanes *sum, const float *bias, const float *addend,
                                  const cpu_product *p)
{
    float part[2 * BLOCK];
    if (p->columns == 2 * BLOCK) {
        for (int h = 0; h < 2; h++) {
            const lanes v = product_fma(p->scale, sum[h], bias ? lanes_load(bias + h * BLOCK) : (lanes){0});
            lanes_store(y + h * BLOCK, addend ? v + lanes_load(addend + h * BLOCK) : v);
        }
        return;
    }
    lanes_store(part, sum[0]);
    lanes_store(part + BLOCK, sum[1]);
    for (int64_t l = 0; l < p->columns; l++) {
        const float v = math_fma(p->scale, part[l], bias ? bias[l] : 0.0f);
        y[l] = addend ? v + addend[l] : v;
    }
}

/* `rows` is a constant. */
PRODUCT_INLINE void product_block(float *y, const float *a, const float *b, const float *bias, const float *addend,
                                  const cpu_product *p, const int rows)
{
    const int64_t row = p->a_row, step = p->a_step;
    lanes sum[PRODUCT_ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = (lanes){0};
    for (int64_t k = 0; k < p->depth; k++, a += step, b += 2 * BLOCK) {
        const lanes first = lanes_load(b), second = lanes_load(b + BLOCK);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            sum[r][0] = product_fma(a[r * row], first, sum[r][0]);
            sum[r][1] = product_fma(a[r * row], second, sum[r][1]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        product_store(y + r * p->y_row, sum[r], bias, addend ? addend + r * p->y_row : NULL, p);
}

static void product(float *y, const float *a, const float *panel, const float *bias, const float *addend,
                    const cpu_product *p)
{
    int64_t r = 0;
#define PRODUCT_BLOCKS(some)                                                                                           \
    for (; r + (some) <= p->rows; r += (some))                                                                         \
    product_block(y + r * p->y_row, a + r * p->a_row, panel, bias, addend ? addend + r * p->y_row : NULL, p, some)
    PRODUCT_BLOCKS(PRODUCT_ROWS);
    PRODUCT_BLOCKS(4);
    PRODUCT_BLOCKS(2);
    PRODUCT_BLOCKS(1);
#undef PRODUCT_BLOCKS
}

/* Of a column-major b, a vector of each column at a time: one element of each would touch as many lines. */
static void product_pack(float *panel, const float *b, int64_t row, int64_t step, int64_t depth, int64_t columns)
{
    int64_t k = 0;
    if (columns < 2 * BLOCK)
        memset(panel, 0, (size_t)(depth * 2 * BLOCK) * sizeof *panel);
    if (step == 1) {
        for (; k < depth; k++)
            memcpy(panel + k * 2 * BLOCK, b + k * row, (size_t)columns * sizeof *panel);
        return;
    }
    for (; k < depth; k += BLOCK) {
        const int64_t some = depth - k < BLOCK ? depth - k : BLOCK;
        for (int64_t l = 0; l < columns; l++)
            for (int64_t i = 0; i < some; i++)
                panel[(k + i) * 2 * BLOCK + l] = b[(k + i) * row + l * step];
    }
}

#endif
