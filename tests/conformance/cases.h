/* Short forms for writing down problems. */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H

#include "conformance/suite.h"

static inline sal_shape map_shape(int64_t c, int64_t h, int64_t w)
{
    return (sal_shape){.rank = 4, .dim = {1, c, h, w}};
}

static inline sal_shape vector_shape(int64_t features)
{
    return (sal_shape){.rank = 2, .dim = {1, features}};
}

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* The channel counts around those of blocks. */
static const int64_t odd_channels[] = {1, 3, 5, 8, 16, 17, 24, 33};

#endif
