/* As much of Criterion as the tests of this folder need, in one process: for the thread sanitizer, under which
 * Criterion does not start. A program runs all its tests, or those that are its arguments, as SUITE/NAME; the first
 * assertion that fails ends it. */
#ifndef TESTS_GPULESS_PLAIN_CRITERION_H
#define TESTS_GPULESS_PLAIN_CRITERION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct criterion_test_params {
    char *values;
    size_t size, count;
};

typedef struct plain_test {
    const char *name;
    void (*run)(void);
    struct plain_test *next;
} plain_test;

static plain_test *plain_tests;

#define Test(suite, test, ...)                                                                                         \
    static void suite##_##test(void);                                                                                  \
    __attribute__((constructor)) static void suite##_##test##_add(void)                                                \
    {                                                                                                                  \
        static plain_test one = {#suite "/" #test, suite##_##test, NULL};                                              \
        one.next = plain_tests;                                                                                        \
        plain_tests = &one;                                                                                            \
    }                                                                                                                  \
    static void suite##_##test(void)

#define cr_make_param_array(type, array, ...)                                                                          \
    (struct criterion_test_params)                                                                                     \
    {                                                                                                                  \
        (char *)(array), sizeof(type), __VA_ARGS__                                                                     \
    }

#define ParameterizedTestParameters(suite, test) static struct criterion_test_params suite##_##test##_parameters(void)

#define ParameterizedTest(parameter, suite, test, ...)                                                                 \
    static void suite##_##test##_with(parameter);                                                                      \
    Test(suite, test)                                                                                                  \
    {                                                                                                                  \
        const struct criterion_test_params all = suite##_##test##_parameters();                                        \
        for (size_t k = 0; k < all.count; k++)                                                                         \
            suite##_##test##_with((void *)(all.values + k * all.size));                                                \
    }                                                                                                                  \
    static void suite##_##test##_with(parameter)

#define cr_assert(condition, ...)                                                                                      \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);                      \
            fprintf(stderr, "" __VA_ARGS__);                                                                           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

int main(int argc, char **argv)
{
    int ran = 0;
    for (const plain_test *t = plain_tests; t; t = t->next) {
        int wanted = argc == 1;
        for (int k = 1; k < argc; k++)
            wanted |= strcmp(argv[k], t->name) == 0;
        if (!wanted)
            continue;
        fprintf(stderr, "%s\n", t->name);
        t->run();
        ran++;
    }
    return ran > 0 ? 0 : 2;
}

#endif
