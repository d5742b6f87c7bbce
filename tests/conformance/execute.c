/* Running a step, and what may not change meanwhile. */
#include "conformance/trial.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Winograd's transforms for tiles of 4 x 4 outputs multiply rounding errors by a few. */
static const double winograd_accuracy = 4.0;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of several runs, at least a tenth of a second of them. */
static sal_status measure(trial *t, const sal_step_row *row, void *plan, const sal_run *run)
{
    double begin = now(), best = INFINITY;
    for (int k = 0; k < 3 || now() - begin < 0.1; k++) {
        double from = now();
        sal_status st = row->run(t->s->device, plan, run);
        if (st != SAL_OK)
            return st;
        double seconds = now() - from;
        best = seconds < best ? seconds : best;
    }
    t->seconds = best;
    return SAL_OK;
}

/* What must not change while a step runs. */
typedef struct snapshot {
    uint32_t *words[MAX_VALUES];
} snapshot;

static sal_status remember(snapshot *m, trial *t)
{
    sal_status st = SAL_OK;
    for (int v = 0; v < t->value_count; v++) {
        TRY(sal_alloc(&m->words[v], t->buffers[v].bytes / 4, sizeof **m->words, "a snapshot"));
        TRY(buffer_read(&t->buffers[v], t->s, m->words[v]));
    }
done:
    return st;
}

static int is_finite(trial *t, uint32_t *word)
{
    float value;
    (void)t;
    memcpy(&value, word, sizeof value);
    return isfinite(value) != 0;
}

static sal_status inspect(snapshot *m, trial *t, const sal_step *step, const buffer *scratch)
{
    sal_status st = SAL_OK;
    uint32_t *now_there = NULL;
    int intact;
    for (int v = 0; v < t->value_count; v++) {
        TRY(buffer_check(&intact, &t->buffers[v], t->s));
        if (!intact) {
            st = trial_wrong(t, "wrote past value %d (%s)", v, v == step->output ? "the output" : "an input or mask");
            goto done;
        }
        sal_free(now_there);
        now_there = NULL;
        TRY(sal_alloc(&now_there, t->buffers[v].bytes / 4, sizeof *now_there, "a value"));
        TRY(buffer_read(&t->buffers[v], t->s, now_there));
        int written = v == step->output || v == step->kept || t->buffers[v].memory == t->buffers[step->output].memory;
        if (!written && memcmp(now_there, m->words[v], t->buffers[v].bytes) != 0)
            st = trial_wrong(t, "changed value %d, which it may only read", v);
        else if (v == step->output && !trial_each_padding(t, v, now_there, is_finite))
            st = trial_wrong(t, "left a padding channel of the output not finite");
        if (st != SAL_OK)
            goto done;
    }
    TRY(buffer_check(&intact, scratch, t->s));
    if (!intact)
        st = trial_wrong(t, "wrote past its scratch");
done:
    sal_free(now_there);
    return st;
}

static sal_status prepare(void **plan, sal_needs *needs, trial *t, const sal_step *step)
{
    const sal_step_row *row = t->s->backend->rows[step->kind];
    memset(needs, 0, sizeof *needs);
    *plan = NULL;
    sal_status st = row ? row->prepare(plan, needs, t->s->device, step, t->values)
                        : sal_fail(SAL_ERROR_UNSUPPORTED, "the back end has no %s", sal_step_kind_name(step->kind));
    if (st == SAL_ERROR_UNSUPPORTED) {
        t->skip = 1;
        snprintf(t->reason, sizeof t->reason, "%s", sal_last_error());
    }
    snprintf(t->algorithm, sizeof t->algorithm, "%s", st == SAL_OK && needs->algorithm ? needs->algorithm : "none");
    if (needs->algorithm && strstr(needs->algorithm, "wino"))
        t->accuracy = winograd_accuracy;
    return st;
}

sal_status trial_execute(trial *t, const sal_step *step, int timed)
{
    sal_status st = SAL_OK;
    const sal_step_row *row = t->s->backend->rows[step->kind];
    void *plan = NULL, *inputs[SUITE_MAX_INPUTS];
    sal_needs needs;
    buffer scratch = {0};
    snapshot before = {{0}};
    TRY(prepare(&plan, &needs, t, step));
    if (t->s->refuse && strstr(t->algorithm, t->s->refuse)) {
        st = trial_wrong(t, "the way chosen is '%s'", t->algorithm);
        goto done;
    }
    TRY(buffer_open(&scratch, t->s, needs.scratch_bytes));
    TRY(buffer_fill(&scratch, t->s, POISON_FLOATS));
    for (int k = 0; k < step->input_count; k++)
        inputs[k] = buffer_data(&t->buffers[step->inputs[k]]);
    sal_run run = {.inputs = inputs,
                   .output = buffer_data(&t->buffers[step->output]),
                   .kept = step->kept >= 0 ? buffer_data(&t->buffers[step->kept]) : NULL,
                   .scratch = buffer_data(&scratch)};
    TRY(remember(&before, t));
    TRY(row->run(t->s->device, plan, &run));
    TRY(inspect(&before, t, step, &scratch));
    if (timed)
        TRY(measure(t, row, plan, &run));
done:
    if (plan)
        row->release(t->s->device, plan);
    buffer_close(&scratch, t->s);
    for (int v = 0; v < MAX_VALUES; v++)
        sal_free(before.words[v]);
    return st;
}
