/* Pooling of one channel block. Included by kernels.c alone, once per instruction set. */
#ifndef SAL_BACKEND_CPU_KERNELS_POOL_H
#define SAL_BACKEND_CPU_KERNELS_POOL_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/kernels_math.h"

#include <float.h>

/* Part of a window that lies inside the picture: window elements [begin, end) of one axis. */
typedef struct span {
    int64_t begin;
    int64_t end;
    int64_t origin; /* coordinate of window element 0 */
} span;

static inline span window_span(const cpu_pool *p, int axis, int64_t o)
{
    const sal_window *w = &p->window;
    int64_t origin = o * w->stride[axis] - w->pad_begin[axis], d = w->dilation[axis];
    int64_t begin = origin < 0 ? (-origin + d - 1) / d : 0;
    int64_t end = (p->in[axis] - origin + d - 1) / d;
    end = end < 0 ? 0 : end;
    return (span){begin, end < w->kernel[axis] ? end : w->kernel[axis], origin};
}

static inline void max_of_window(float *best, uint8_t *won, const float *x, const cpu_pool *p, span h, span w)
{
    whole_lanes at = {0};
    lanes top = (lanes){0} - FLT_MAX;
    for (int64_t i = h.begin; i < h.end; i++)
        for (int64_t j = w.begin; j < w.end; j++) {
            int64_t y = h.origin + i * p->window.dilation[0], c = w.origin + j * p->window.dilation[1];
            lanes v = lanes_load(x + (y * p->in[1] + c) * BLOCK);
            whole_lanes more = ~(whole_lanes)(v <= top); /* a NaN wins, so that it is seen */
            whole_lanes k = (whole_lanes){0} + (int32_t)(i * p->window.kernel[1] + j);
            top = (lanes)choose((whole_lanes)top, (whole_lanes)v, more);
            at = choose(at, k, more);
        }
    lanes_store(best, top);
    for (int l = 0; won && l < BLOCK; l++)
        won[l] = (uint8_t)at[l];
}

static void max_pool(float *y, uint8_t *index, const float *x, const cpu_pool *p)
{
    for (int64_t i = 0; i < p->out[0]; i++) {
        span h = window_span(p, 0, i);
        for (int64_t j = 0; j < p->out[1]; j++) {
            max_of_window(y, index, x, p, h, window_span(p, 1, j));
            y += BLOCK;
            index = index ? index + BLOCK : NULL;
        }
    }
}

static void max_pool_backward(float *dx, const float *dy, const uint8_t *index, const cpu_pool *p)
{
    for (int64_t i = 0; i < p->out[0]; i++) {
        span h = window_span(p, 0, i);
        for (int64_t j = 0; j < p->out[1]; j++, dy += BLOCK, index += BLOCK) {
            span w = window_span(p, 1, j);
            whole_lanes won, g = (whole_lanes)lanes_load(dy);
            for (int l = 0; l < BLOCK; l++)
                won[l] = index[l];
            for (int64_t a = h.begin; a < h.end; a++)
                for (int64_t b = w.begin; b < w.end; b++) {
                    int64_t y = h.origin + a * p->window.dilation[0], c = w.origin + b * p->window.dilation[1];
                    float *to = dx + (y * p->in[1] + c) * BLOCK;
                    whole_lanes here = (whole_lanes)(won == (int32_t)(a * p->window.kernel[1] + b));
                    lanes_store(to, lanes_load(to) + (lanes)(g & here));
                }
        }
    }
}

/* Divisor of a window: elements inside the picture, or all of the kernel's. */
static inline float window_divisor(const cpu_pool *p, span h, span w)
{
    if (p->window.count_padding)
        return (float)(p->window.kernel[0] * p->window.kernel[1]);
    return (float)((h.end - h.begin) * (w.end - w.begin));
}

static void avg_pool(float *y, const float *x, const cpu_pool *p)
{
    for (int64_t i = 0; i < p->out[0]; i++) {
        span h = window_span(p, 0, i);
        for (int64_t j = 0; j < p->out[1]; j++, y += BLOCK) {
            span w = window_span(p, 1, j);
            float sum[BLOCK];
            for (int l = 0; l < BLOCK; l++)
                sum[l] = 0.0f;
            for (int64_t a = h.begin; a < h.end; a++)
                for (int64_t b = w.begin; b < w.end; b++) {
                    int64_t row = h.origin + a * p->window.dilation[0], column = w.origin + b * p->window.dilation[1];
                    const float *v = x + (row * p->in[1] + column) * BLOCK;
                    for (int l = 0; l < BLOCK; l++)
                        sum[l] += v[l];
                }
            float divisor = window_divisor(p, h, w);
            for (int l = 0; l < BLOCK; l++)
                y[l] = sum[l] / divisor;
        }
    }
}

static void avg_pool_backward(float *dx, const float *dy, const cpu_pool *p)
{
    for (int64_t i = 0; i < p->out[0]; i++) {
        span h = window_span(p, 0, i);
        for (int64_t j = 0; j < p->out[1]; j++, dy += BLOCK) {
            span w = window_span(p, 1, j);
            float share[BLOCK], divisor = window_divisor(p, h, w);
            for (int l = 0; l < BLOCK; l++)
                share[l] = dy[l] / divisor;
            for (int64_t a = h.begin; a < h.end; a++)
                for (int64_t b = w.begin; b < w.end; b++) {
                    int64_t row = h.origin + a * p->window.dilation[0], column = w.origin + b * p->window.dilation[1];
                    float *to = dx + (row * p->in[1] + column) * BLOCK;
                    for (int l = 0; l < BLOCK; l++)
                        to[l] += share[l];
                }
        }
    }
}

#endif
