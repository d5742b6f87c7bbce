#include "conformance/operands.h"

#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { POISON = 0x7fc0dead }; /* NaN */

/* ---- What is tried ------------------------------------------------------- */

int setting_begin(setting *t, suite *s, const sal_shape *shape, int64_t pictures, const char *format, ...)
{
    char what[60], size[40];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (shape->rank == 4)
        snprintf(size, sizeof size, "c%lldh%lldw%lld", (long long)shape->dim[1], (long long)shape->dim[2],
                 (long long)shape->dim[3]);
    else
        snprintf(size, sizeof size, "f%lld", (long long)shape->dim[1]);
    *t = (setting){.s = s, .pictures = pictures, .elements = (size_t)sal_shape_elements(shape)};
    snprintf(t->text, sizeof t->text, "method %s %s, %lld of %d", what, size, (long long)pictures, BATCH);
    t->dice.state = dice_seed(s->seed, t->text);
    return suite_wants(s, t->text);
}

void setting_end(setting *t, sal_status st)
{
    if (st != SAL_OK)
        printf("%s\n", sal_last_error());
    suite_count(t->s, t->text, st != SAL_OK || t->wrong);
    for (int k = 0; k < t->count; k++) {
        buffer_close(&t->operands[k].buffer, t->s);
        sal_free(t->operands[k].numbers);
        sal_free(t->operands[k].words);
    }
}

/* ---- Operands ------------------------------------------------------------ */

sal_value exact_value(const sal_shape *shape)
{
    return (sal_value){.type = SAL_VALUE_FLOATS, .shape = *shape, .exact = 1};
}

sal_status operand_add(operand **out, setting *t, const sal_value *value)
{
    sal_status st = SAL_OK;
    operand *o = &t->operands[t->count++];
    o->value = *value;
    t->s->backend->place(t->s->device, &o->value);
    const size_t count = (size_t)sal_shape_elements(&value->shape) * BATCH;
    TRY(sal_alloc(&o->numbers, count, sizeof *o->numbers, "numbers"));
    TRY(buffer_open(&o->buffer, t->s, o->value.bytes * BATCH));
    TRY(sal_alloc(&o->words, o->buffer.bytes / 4, sizeof *o->words, "numbers"));
    TRY(buffer_fill(&o->buffer, t->s, POISON));
    *out = o;
done:
    return st;
}

sal_status operand_upload(operand *o, const setting *t)
{
    return t->s->backend->upload(t->s->device, buffer_data(&o->buffer), &o->value, o->numbers, t->pictures,
                                 t->pictures);
}

sal_status operand_add_zeros(operand **out, setting *t, const sal_shape *shape)
{
    const sal_value value = exact_value(shape);
    const sal_status st = operand_add(out, t, &value);
    return st == SAL_OK ? operand_upload(*out, t) : st;
}

void setting_roll(float *numbers, setting *t, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)(dice_between(&t->dice, -2.0, 2.0) * pow(10.0, dice_between(&t->dice, -3.0, 1.0)));
}

sal_status operand_add_random(operand **out, setting *t, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    const sal_value value = exact_value(shape);
    TRY(operand_add(out, t, &value));
    setting_roll((*out)->numbers, t, (size_t)sal_shape_elements(shape) * (size_t)t->pictures);
    TRY(operand_upload(*out, t));
done:
    return st;
}

void *operand_memory(const operand *o)
{
    return o ? buffer_data(&o->buffer) : NULL;
}

sal_status setting_remember(setting *t)
{
    sal_status st = SAL_OK;
    for (int k = 0; k < t->count; k++)
        TRY(buffer_read(&t->operands[k].buffer, t->s, t->operands[k].words));
done:
    return st;
}

sal_status setting_inspect(setting *t, const operand *output, const operand *second, int64_t from)
{
    sal_status st = SAL_OK;
    uint32_t *words = NULL;
    for (int k = 0; k < t->count; k++) {
        const operand *o = &t->operands[k];
        const size_t kept = o == output || o == second ? (size_t)from * o->value.bytes : 0;
        int intact;
        TRY(buffer_check(&intact, &o->buffer, t->s));
        sal_free(words);
        words = NULL;
        TRY(sal_alloc(&words, o->buffer.bytes / 4, sizeof *words, "numbers"));
        TRY(buffer_read(&o->buffer, t->s, words));
        const int same =
            memcmp((unsigned char *)words + kept, (unsigned char *)o->words + kept, o->buffer.bytes - kept) == 0;
        if (!intact || !same) {
            printf("%s: %s operand %d\n", t->text, intact ? "changed" : "wrote past", k);
            t->wrong = 1;
        }
    }
done:
    sal_free(words);
    return st;
}

sal_status operand_check(setting *t, const operand *o, const float *expected, int64_t pictures)
{
    sal_status st = SAL_OK;
    const size_t elements = (size_t)sal_shape_elements(&o->value.shape);
    float *actual = NULL;
    TRY(sal_alloc(&actual, elements * BATCH, sizeof *actual, "numbers"));
    TRY(t->s->backend->download(t->s->device, actual, operand_memory(o), &o->value, pictures));
    for (size_t i = 0; i < elements * (size_t)pictures && !t->wrong; i++)
        if (memcmp(&actual[i], &expected[i], sizeof *actual) != 0) {
            printf("%s: [%zu, %zu]: %.9g, expected %.9g\n", t->text, i / elements, i % elements, (double)actual[i],
                   (double)expected[i]);
            t->wrong = 1;
        }
done:
    sal_free(actual);
    return st;
}

void setting_check_near(setting *t, size_t i, float expected, double reference, double tolerance)
{
    if (t->wrong || fabs((double)expected - reference) <= tolerance)
        return;
    printf("%s: element %zu: %.9g, in double precision %.9g\n", t->text, i, (double)expected, reference);
    t->wrong = 1;
}
