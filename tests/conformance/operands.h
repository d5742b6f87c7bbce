/* One problem of the method rows: its operands between guards, what is in them, and what may change. */
#ifndef TESTS_CONFORMANCE_OPERANDS_H
#define TESTS_CONFORMANCE_OPERANDS_H

#include "conformance/suite.h"

enum { BATCH = 3, OPERANDS = 4 };

/* A value with its memory, and what is in it. */
typedef struct operand {
    sal_value value;
    buffer buffer;
    float *numbers;  /* BATCH pictures, row-major */
    uint32_t *words; /* as the device had them before */
} operand;

typedef struct setting {
    suite *s;
    dice dice;
    char text[120];
    int64_t pictures;
    size_t elements; /* of a picture */
    operand operands[OPERANDS];
    int count;
    int wrong;
} setting;

/* Names the problem; 0: it is not wanted. */
int setting_begin(setting *t, suite *s, const sal_shape *shape, int64_t pictures, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Counts it, and frees its operands. */
void setting_end(setting *t, sal_status st);

sal_value exact_value(const sal_shape *shape);
/* Memory of poison for a batch of such values. */
sal_status operand_add(operand **out, setting *t, const sal_value *value);
/* Exact ones, of the first pictures: zeros, or random numbers. */
sal_status operand_add_zeros(operand **out, setting *t, const sal_shape *shape);
sal_status operand_add_random(operand **out, setting *t, const sal_shape *shape);
sal_status operand_upload(operand *o, const setting *t);
void *operand_memory(const operand *o); /* NULL for NULL */
/* Numbers of many magnitudes. */
void setting_roll(float *numbers, setting *t, size_t count);

/* What is in all operands before a run. */
sal_status setting_remember(setting *t);
/* After it: guards, and what was there, of the outputs (`second` may be NULL) from picture `from` on, of the others
 * all. */
sal_status setting_inspect(setting *t, const operand *output, const operand *second, int64_t from);
/* The first pictures of an output, to the last bit. */
sal_status operand_check(setting *t, const operand *o, const float *expected, int64_t pictures);
/* A number against its reference in double precision. */
void setting_check_near(setting *t, size_t i, float actual, double reference, double tolerance);

#endif
