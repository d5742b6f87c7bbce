/* A back end that computes nothing and writes down what it is asked for: what programs and methods make of a device can
 * be tested with one that has no memory, changes its mind or makes maps. Stands in for src/backend. Test support. */
#ifndef TESTS_FAKE_DEVICE_H
#define TESTS_FAKE_DEVICE_H

#include "program/program.h"

/* One run of a step. */
typedef struct fake_run {
    const void *inputs[70];
    const void *output, *kept, *scratch;
} fake_run;

typedef struct fake_device {
    sal_backend backend; /* what sal_backend_find finds; tests may take rows and functions away */
    size_t free_bytes;
    size_t scratch_bytes;                          /* of the steps of convolutions */
    int convs_borrow;                              /* 1: they read their weights where the model has them */
    int varied;                                    /* 1: values differ in layout and padding, each by its number */
    int placed;                                    /* the number of the next one */
    int failing_allocations, failing_reservations; /* so many to come fail */
    int rescales;                                  /* so many calls to come say: again */
    int failing_rescales;                          /* so many to come fail */
    int opened, prepared;                          /* minus closed, released */
    int prepares;                                  /* calls so far */
    const sal_node *first_prepared;                /* the node of a program's first */
    int first_has_weights;                         /* whether it still had them at the last */
    sal_step_kind failing;                         /* steps of this kind fail to run; SAL_STEP_COUNT: none */
    size_t allocated;                              /* memory that nobody has released */
    size_t asked_bytes;                            /* by the last call of allocate */
    int downloads;                                 /* calls so far */
    sal_device_options options;                    /* it was opened with */
    char spec[32];
    const void *uploaded_to, *downloaded_from, *rescaled;
    fake_run runs[40]; /* the first ones */
    int run_count;
    char log[8192]; /* what was asked for while a program ran */
} fake_device;

extern fake_device fake;

/* As new: chunks, no relus, nothing recorded, plenty of memory. */
void fake_reset(void);
/* Adds what only some devices have: recording of passes, prefetching, another scale. */
void fake_add_all(void);
/* One that takes ReLUs along with every convolution. */
void fake_take_relus(void);
/* Asserts that the log is the text, and empties it. */
void fake_expect(const char *text);

#endif
