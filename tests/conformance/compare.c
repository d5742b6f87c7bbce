#include "conformance/suite.h"

#include <math.h>

size_t first_wrong(const double *expected, const double *tolerance, const float *actual, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double a = (double)actual[i];
        if (isinf(expected[i]) && a == expected[i])
            continue;
        /* Written so that NaN anywhere fails; an infinite tolerance excuses no infinite value. */
        if (!(fabs(a - expected[i]) <= tolerance[i]) || isinf(a) || isinf(expected[i]))
            return i;
    }
    return count;
}

int first_wrong_is_wrong(void)
{
    const struct {
        double expected, tolerance;
        float actual;
        int equal;
    } rows[] = {
        {1.0, 1e-6, 1.0f, 1},          {1.0, 1e-6, 1.1f, 0},
        {1.0, 0.2, 1.1f, 1},           {1.0, 1e30, NAN, 0},
        {NAN, 1e30, 1.0f, 0},          {NAN, 1e30, NAN, 0},
        {1.0, NAN, 1.0f, 0},           {1.0, INFINITY, NAN, 0},
        {INFINITY, 1e30, INFINITY, 1}, {INFINITY, 1e30, -INFINITY, 0},
        {1.0, 1e30, INFINITY, 0},      {1.0, INFINITY, INFINITY, 0},
        {INFINITY, INFINITY, 1.0f, 0}, {INFINITY, 1e30, NAN, 0},
        {NAN, INFINITY, INFINITY, 0},  {0.0, 0.0, -0.0f, 1},
        {1.0, INFINITY, -7.0f, 1},     {-1.0, 0.5, 1.0f, 0},
        {1.0, -1.0, 1.0f, 0},          {-INFINITY, 0.0, -INFINITY, 1},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        wrong |= (first_wrong(&rows[i].expected, &rows[i].tolerance, &rows[i].actual, 1) == 1) != rows[i].equal;
    const double expected[3] = {0.0, 1.0, 2.0}, tolerance[3] = {1e-6, 1e-6, 1e-6};
    const float actual[3] = {0.0f, 1.0f, 2.5f};
    return wrong || first_wrong(expected, tolerance, actual, 3) != 2 ||
           first_wrong(expected, tolerance, actual, 2) != 2;
}
