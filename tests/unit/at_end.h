/* What must hold when a test is over: in the .fini of a suite Criterion prints failed assertions and passes the test
 * all the same. */
#ifndef TESTS_AT_END_H
#define TESTS_AT_END_H

#include <stdio.h>
#include <stdlib.h>

/* A test that dies there makes its program fail. */
#define AT_END(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: after the test this does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
