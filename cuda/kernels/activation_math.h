/* Activations and their derivatives, one number at a time, for device and host. The CPU back end has its
 * own, written for vectors, in src/backend/cpu/kernels_math.h; both follow graph.h. */
#ifndef CUDA_ACTIVATION_MATH_H
#define CUDA_ACTIVATION_MATH_H

#include "graph/graph.h"

#include <math.h>

#define ACTIVATION_MATH static __host__ __device__ __forceinline__

ACTIVATION_MATH float activation_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* The normal distribution at x; through erfc its lower tail keeps its digits. */
ACTIVATION_MATH float activation_normal_cdf(float x)
{
    return 0.5f * erfcf(-0.707106781f * x);
}

/* (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3), as a sigmoid of 2u. */
ACTIVATION_MATH float activation_gelu_gate(float x)
{
    return activation_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

ACTIVATION_MATH float activation_clamp01(float x)
{
    return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

/* The sum would lose the digits of a negative x. */
ACTIVATION_MATH float activation_squareplus(float x, float alpha)
{
    const float root = sqrtf(x * x + alpha);
    return x > 0.0f ? 0.5f * (x + root) : 0.5f * alpha / (root - x);
}

/* The sine of x + quarters * pi / 2. The library's own keeps an array in local memory for huge arguments. Here the next
 * multiple of pi / 2 is taken off in double, with its first 106 bits (Cody and Waite 1980), and what is left, at most
 * pi / 4, goes into Taylor's series. From 2^50 radians on, where neighbouring floats are millions of turns apart, the
 * result is NaN. */
ACTIVATION_MATH float activation_sine(float x, int quarters)
{
    const double n = rint((double)x * 0.63661977236758134);
    if (!(fabsf(x) < 0x1p50f))
        return nanf("");
    const float r = (float)fma(-n, 6.123233995736766e-17, fma(-n, 1.5707963267948966, (double)x)), s = r * r;
    const long long quarter = (long long)n + quarters;
    const float sine =
        r + r * s * (-1.66666667e-1f + s * (8.33333333e-3f + s * (-1.98412698e-4f + s * 2.75573192e-6f)));
    const float cosine = 1.0f + s * (-0.5f + s * (4.16666667e-2f + s * (-1.38888889e-3f + s * 2.48015873e-5f)));
    const float v = quarter & 1 ? cosine : sine;
    return quarter & 2 ? -v : v;
}

ACTIVATION_MATH float activation_sign(float x)
{
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}

ACTIVATION_MATH float activation_value(float x, const sal_activation &a)
{
    switch (a.kind) {
    case SAL_ACT_RELU: return x > 0.0f ? x : x != x ? x : 0.0f;
    case SAL_ACT_CLIP: return x < a.alpha ? a.alpha : x > a.beta ? a.beta : x;
    case SAL_ACT_LEAKY_RELU: return x > 0.0f ? x : a.alpha * x;
    case SAL_ACT_ELU: return x > 0.0f ? x : a.alpha * expm1f(x);
    case SAL_ACT_SIGMOID: return activation_sigmoid(x);
    case SAL_ACT_TANH: return tanhf(x);
    case SAL_ACT_SOFTPLUS: return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
    case SAL_ACT_SILU: return x * activation_sigmoid(x);
    case SAL_ACT_GELU: return x * activation_normal_cdf(x);
    case SAL_ACT_GELU_TANH: return x * activation_gelu_gate(x);
    case SAL_ACT_HARD_SIGMOID: return activation_clamp01(a.alpha * x + a.beta);
    case SAL_ACT_HARD_SWISH: return x * activation_clamp01(x * (1.0f / 6.0f) + 0.5f);
    case SAL_ACT_EXP: return expf(x);
    case SAL_ACT_SOFTSIGN: return x / (1.0f + fabsf(x));
    case SAL_ACT_SQUAREPLUS: return activation_squareplus(x, a.alpha);
    case SAL_ACT_THRESHOLD: return x > a.alpha ? x : 0.0f;
    case SAL_ACT_ABS: return fabsf(x);
    case SAL_ACT_SIGN: return activation_sign(x);
    case SAL_ACT_SQRT: return sqrtf(x);
    case SAL_ACT_RECIPROCAL: return 1.0f / x;
    case SAL_ACT_POWER: return powf(x, a.alpha);
    case SAL_ACT_LOG: return logf(x);
    case SAL_ACT_SIN: return activation_sine(x, 0);
    case SAL_ACT_COS: return activation_sine(x, 1);
    case SAL_ACT_NONE:
    case SAL_ACT_COUNT: break;
    }
    return x;
}

/* f'(x) from x, or from y = f(x) where that is what is kept (SAL_KEEP_OUTPUT). */
ACTIVATION_MATH float activation_slope(float v, const sal_activation &a)
{
    switch (a.kind) {
    case SAL_ACT_RELU: return v > 0.0f ? 1.0f : 0.0f;
    case SAL_ACT_CLIP: return v > a.alpha && v < a.beta ? 1.0f : 0.0f;
    case SAL_ACT_LEAKY_RELU: return v > 0.0f ? 1.0f : a.alpha;
    case SAL_ACT_ELU: return v > 0.0f ? 1.0f : a.alpha * expf(v);
    case SAL_ACT_SIGMOID: return v * (1.0f - v);
    case SAL_ACT_TANH: return 1.0f - v * v;
    case SAL_ACT_SOFTPLUS: return activation_sigmoid(v);
    case SAL_ACT_SILU: {
        const float s = activation_sigmoid(v);
        return s * (1.0f + v * (1.0f - s));
    }
    case SAL_ACT_GELU: return activation_normal_cdf(v) + v * 0.398942280f * expf(-0.5f * v * v);
    case SAL_ACT_GELU_TANH: {
        const float g = activation_gelu_gate(v);
        return g + v * g * (1.0f - g) * (1.59576912f * (1.0f + 0.134145f * v * v));
    }
    case SAL_ACT_HARD_SIGMOID: {
        const float u = a.alpha * v + a.beta;
        return u > 0.0f && u < 1.0f ? a.alpha : 0.0f;
    }
    case SAL_ACT_HARD_SWISH: return v <= -3.0f ? 0.0f : v >= 3.0f ? 1.0f : v * (1.0f / 3.0f) + 0.5f;
    case SAL_ACT_EXP: return v;
    case SAL_ACT_SOFTSIGN: return (1.0f - fabsf(v)) * (1.0f - fabsf(v));
    case SAL_ACT_SQUAREPLUS: return activation_squareplus(v, a.alpha) / sqrtf(v * v + a.alpha);
    case SAL_ACT_THRESHOLD: return v > a.alpha ? 1.0f : 0.0f;
    case SAL_ACT_ABS: return activation_sign(v);
    case SAL_ACT_SIGN: return v * 0.0f;
    case SAL_ACT_SQRT: return 0.5f / v;
    case SAL_ACT_RECIPROCAL: return -v * v;
    case SAL_ACT_POWER: return a.alpha == 0.0f ? 0.0f : a.alpha * powf(v, a.alpha - 1.0f);
    case SAL_ACT_LOG: return 1.0f / v;
    case SAL_ACT_SIN: return activation_sine(v, 1);
    case SAL_ACT_COS: return activation_sine(v, 2);
    case SAL_ACT_NONE:
    case SAL_ACT_COUNT: break;
    }
    return 1.0f;
}

/* The gradient that a rule lets through: `plain` is dy times the derivative, `sign` has the sign of the input. */
ACTIVATION_MATH float activation_rule(float dy, float plain, float sign, int rule)
{
    switch (rule) {
    case SAL_RULE_GUIDED: return dy > 0.0f && sign > 0.0f ? plain : 0.0f;
    case SAL_RULE_DECONVNET: return dy > 0.0f ? dy : 0.0f;
    case SAL_RULE_RECTIFIED: return sign * dy > 0.0f ? plain : 0.0f;
    default: return plain;
    }
}

/* Whether the derivative of a SAL_KEEP_SIGN activation is 1, from its output. */
ACTIVATION_MATH int activation_bit(float y, const sal_activation &a)
{
    return a.kind == SAL_ACT_CLIP ? y > a.alpha && y < a.beta : y > 0.0f;
}

#endif
