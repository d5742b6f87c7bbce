/* Problems whose inputs repeat themselves: see ties.c. */
#ifndef TESTS_CONFORMANCE_TIES_H
#define TESTS_CONFORMANCE_TIES_H

#include "conformance/trial.h"

/* 1: a forward step that looks at what is around a place, or at the place alone. */
int ties_can_be(const problem *p);
/* Input `k` of the op, flat or striped as the problem says. */
sal_status ties_add_input(int *out, trial *t, int k);
sal_status ties_check(trial *t, int output);

#endif
