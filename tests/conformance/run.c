/* Problems: which values and steps each needs, and its answer. */
#include "conformance/reference.h"
#include "conformance/ties.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static sal_step new_step(const trial *t, sal_step_kind kind, int *inputs, int count, int output)
{
    return (sal_step){.kind = kind,
                      .node = &t->graph.nodes[t->node],
                      .inputs = inputs,
                      .input_count = count,
                      .output = output,
                      .kept = -1,
                      .addend = -1,
                      .activated = -1,
                      .ties = t->p->ties != TIES_NONE,
                      .operand = t->p->operand,
                      .batch = t->p->batch,
                      .rule = t->p->rule};
}

static reference reference_of(const trial *t, const int *inputs, int64_t picture)
{
    reference r = {
        .graph = &t->graph, .node = &t->graph.nodes[t->node], .accuracy = t->accuracy, .storage = t->s->storage};
    for (int k = 0; k < t->p->input_count; k++)
        r.x[k] = t->numbers[inputs[k]] + trial_elements(t, inputs[k]) * (size_t)picture;
    return r;
}

/* ---- Forward problems --------------------------------------------------- */

typedef struct answers {
    double *value, *tolerance, *before, *before_tolerance; /* of the batch */
} answers;

static sal_status answers_open(answers *a, size_t count)
{
    sal_status st = SAL_OK;
    TRY(sal_alloc(&a->value, count, sizeof *a->value, "a reference"));
    TRY(sal_alloc(&a->tolerance, count, sizeof *a->value, "a reference"));
    TRY(sal_alloc(&a->before, count, sizeof *a->value, "a reference"));
    TRY(sal_alloc(&a->before_tolerance, count, sizeof *a->value, "a reference"));
done:
    return st;
}

static void answers_close(answers *a)
{
    sal_free(a->value);
    sal_free(a->tolerance);
    sal_free(a->before);
    sal_free(a->before_tolerance);
}

static void answer_forward(const answers *a, const trial *t, const int *inputs)
{
    size_t one = (size_t)sal_shape_elements(&t->graph.nodes[t->node].shape);
    for (int64_t n = 0; n < t->p->batch; n++) {
        reference r = reference_of(t, inputs, n);
        size_t at = one * (size_t)n;
        forward_answer f = {a->value + at, a->tolerance + at, a->before + at, a->before_tolerance + at};
        reference_forward(&f, &r);
    }
}

static sal_step_kind forward_kind(sal_op op)
{
    /* The forward steps come first and in the order of the ops, but for the input's op. */
    return (sal_step_kind)((int)op - (int)SAL_OP_CONV + (int)SAL_STEP_CONV);
}

/* What has a root, a logarithm or a reciprocal. */
static sal_status make_positive(trial *t, int v)
{
    const size_t count = trial_elements(t, v) * (size_t)t->p->batch;
    for (size_t i = 0; i < count; i++)
        t->numbers[v][i] = fabs(t->numbers[v][i]) + 0.25;
    for (size_t i = 0; i < count && t->s->storage > 0.0; i++)
        t->numbers[v][i] = round_coarsely(t->numbers[v][i]);
    for (size_t i = 0; i < count; i++)
        t->numbers[v][i] = (double)(float)t->numbers[v][i];
    return trial_upload(t, v);
}

/* The side that values to be added belong to: 1 in rows. */
static int in_rows(const trial *t, problem_rows side)
{
    return (t->p->rows & side) != 0;
}

static sal_status add_inputs(trial *t, int *inputs)
{
    sal_status st = SAL_OK;
    const sal_activation_kind kind = t->p->activation.kind;
    t->rows = in_rows(t, ROWS_IN);
    double spread = t->p->op == SAL_OP_ACTIVATION ? 6.0 : 2.0;
    for (int k = 0; k < t->p->input_count && t->p->ties; k++)
        TRY(ties_add_input(&inputs[k], t, k));
    for (int k = 0; k < t->p->input_count && !t->p->ties; k++)
        TRY(trial_add_random(&inputs[k], t, &t->p->inputs[k], t->p->picture && k == 0, spread));
    if (kind >= SAL_ACT_SQRT && kind <= SAL_ACT_LOG)
        TRY(make_positive(t, inputs[0]));
done:
    return st;
}

static sal_status add_kept(int *out, trial *t)
{
    sal_value_type type = t->p->op == SAL_OP_MAX_POOL ? SAL_VALUE_INDICES : SAL_VALUE_MASK;
    return trial_add_value(out, t, type, &t->graph.nodes[t->node].shape, 0);
}

static sal_status try_forward(trial *t, const int *inputs, answers *a)
{
    sal_status st = SAL_OK;
    int output, given[SUITE_MAX_INPUTS];
    memcpy(given, inputs, sizeof given);
    t->rows = in_rows(t, ROWS_OUT);
    TRY(trial_add_value(&output, t, SAL_VALUE_FLOATS, &t->graph.nodes[t->node].shape, 0));
    sal_step step = new_step(t, t->p->kind, given, t->p->input_count, output);
    if (t->p->kept)
        TRY(add_kept(&step.kept, t));
    if (t->p->in_place)
        trial_share(t, output, given[t->p->op == SAL_OP_CONV ? 1 : 0]);
    TRY(trial_execute(t, &step, t->s->bench && !t->p->in_place && !t->p->ties));
    if (t->p->ties)
        return ties_check(t, output);
    TRY(answers_open(a, trial_elements(t, output) * (size_t)t->p->batch));
    answer_forward(a, t, inputs);
    TRY(trial_compare(t, output, a->value, a->tolerance));
done:
    return st;
}

/* ---- Backward problems -------------------------------------------------- */

/* Mask or indices: the forward step makes them. */
static sal_status run_for_kept(int *kept, trial *t, const int *inputs, answers *a)
{
    sal_status st = SAL_OK;
    int output, given[SUITE_MAX_INPUTS];
    memcpy(given, inputs, sizeof given);
    t->rows = in_rows(t, ROWS_OUT);
    TRY(trial_add_value(&output, t, SAL_VALUE_FLOATS, &t->graph.nodes[t->node].shape, 0));
    TRY(add_kept(kept, t));
    sal_step step = new_step(t, forward_kind(t->p->op), given, t->p->input_count, output);
    step.kept = *kept;
    TRY(trial_execute(t, &step, 0));
    TRY(answers_open(a, trial_elements(t, output) * (size_t)t->p->batch));
    answer_forward(a, t, inputs);
done:
    return st;
}

/* The op's output, as the reference makes it: what backward steps of SAL_KEEP_OUTPUT read. */
static sal_status add_output_values(int *out, trial *t, const int *inputs, answers *a)
{
    sal_status st = SAL_OK;
    t->rows = in_rows(t, ROWS_OUT);
    TRY(trial_add_value(out, t, SAL_VALUE_FLOATS, &t->graph.nodes[t->node].shape, 0));
    size_t count = trial_elements(t, *out) * (size_t)t->p->batch;
    TRY(answers_open(a, count));
    answer_forward(a, t, inputs);
    TRY(sal_alloc(&t->numbers[*out], count, sizeof **t->numbers, "a value"));
    memcpy(t->numbers[*out], a->value, count * sizeof *a->value);
    TRY(trial_upload(t, *out));
done:
    return st;
}

/* Second input of a backward step, or -1. */
static sal_status find_kept(int *kept, trial *t, const int *inputs, answers *a)
{
    sal_keep keep = sal_activation_keep(t->p->activation.kind);
    *kept = -1;
    switch (t->p->kind) {
    case SAL_STEP_MAX_POOL_BACKWARD: return run_for_kept(kept, t, inputs, a);
    case SAL_STEP_SOFTMAX_BACKWARD: return add_output_values(kept, t, inputs, a);
    case SAL_STEP_LAYER_NORM_BACKWARD: *kept = inputs[0]; break;
    case SAL_STEP_MUL_BACKWARD:
    case SAL_STEP_MATMUL_BACKWARD: *kept = inputs[1 - t->p->operand]; break;
    case SAL_STEP_REDUCE_BACKWARD: *kept = t->p->reduction == SAL_REDUCTION_MAX ? inputs[0] : -1; break;
    case SAL_STEP_ACTIVATION_BACKWARD:
        if (keep == SAL_KEEP_SIGN)
            return run_for_kept(kept, t, inputs, a);
        if (keep == SAL_KEEP_OUTPUT)
            return add_output_values(kept, t, inputs, a);
        *kept = inputs[0];
        break;
    default: break;
    }
    return SAL_OK;
}

/* What comes out of a ReLU: where it is 0, nothing goes back. */
static sal_status add_activated(int *out, trial *t, const sal_shape *shape)
{
    sal_status st = SAL_OK;
    TRY(trial_add_random(out, t, shape, 0, 2.0));
    const size_t count = trial_elements(t, *out) * (size_t)t->p->batch;
    for (size_t i = 0; i < count; i++)
        if (t->numbers[*out][i] < 0.0)
            t->numbers[*out][i] = 0.0;
    TRY(trial_upload(t, *out));
done:
    return st;
}

static void apply_relu(const answers *a, const double *activated, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (activated[i] <= 0.0)
            a->value[i] = a->tolerance[i] = 0.0;
}

static sal_status check_backward(trial *t, const int *inputs, const sal_step *step, answers *a, const double *addend)
{
    sal_status st = SAL_OK;
    const double *dy = t->numbers[step->inputs[0]];
    size_t one = trial_elements(t, step->output), from = trial_elements(t, step->inputs[0]);
    answers b = {0};
    TRY(answers_open(&b, one * (size_t)t->p->batch));
    if (t->p->kind == SAL_STEP_ACTIVATION_BACKWARD && !a->value) {
        TRY(answers_open(a, one * (size_t)t->p->batch));
        answer_forward(a, t, inputs);
    }
    for (int64_t n = 0; n < t->p->batch; n++) {
        reference r = reference_of(t, inputs, n);
        size_t at = one * (size_t)n;
        backward_question q = {.dy = dy + from * (size_t)n,
                               .addend = addend ? addend + at : NULL,
                               .operand = t->p->operand,
                               .rule = t->p->rule,
                               .activation = t->p->kind == SAL_STEP_ACTIVATION_BACKWARD};
        if (q.activation) {
            q.before = a->before + at;
            q.before_tolerance = a->before_tolerance + at;
        }
        reference_backward(b.value + at, b.tolerance + at, &r, &q);
    }
    if (step->activated >= 0)
        apply_relu(&b, t->numbers[step->activated], one * (size_t)t->p->batch);
    TRY(trial_compare(t, step->output, b.value, b.tolerance));
done:
    answers_close(&b);
    return st;
}

static int64_t channels_before(const problem *p)
{
    int64_t first = 0;
    for (int k = 0; k < p->operand; k++)
        first += p->inputs[k].dim[p->axis];
    return first;
}

static sal_status try_backward(trial *t, const int *inputs, answers *a)
{
    sal_status st = SAL_OK;
    const problem *p = t->p;
    const sal_shape *y = &t->graph.nodes[t->node].shape;
    int activation = p->kind == SAL_STEP_ACTIVATION_BACKWARD, picture = p->picture && !activation, given[4], count = 1,
        kept, activated = -1, addend = -1, output;
    const sal_shape *x = activation ? y : &p->inputs[p->operand];
    TRY(find_kept(&kept, t, inputs, a));
    t->rows = in_rows(t, ROWS_OUT);
    TRY(trial_add_random(&given[0], t, y, 0, 2.0));
    t->values[given[0]].seed = p->seed;
    if (kept >= 0)
        given[count++] = kept;
    t->rows = in_rows(t, activation ? ROWS_OUT : ROWS_IN);
    if (p->activated) {
        TRY(add_activated(&activated, t, x));
        given[count++] = activated;
    }
    if (p->addend) {
        TRY(trial_add_random(&addend, t, x, picture, 2.0));
        given[count++] = addend;
    }
    TRY(trial_add_value(&output, t, SAL_VALUE_FLOATS, x, picture));
    sal_step step = new_step(t, p->kind, given, count, output);
    step.addend = addend;
    step.activated = activated;
    step.first_channel = p->kind == SAL_STEP_CONCAT_BACKWARD ? channels_before(p) : 0;
    if (p->in_place)
        trial_share(t, output, addend >= 0 ? addend : given[0]);
    TRY(trial_execute(t, &step, t->s->bench && !p->in_place));
    TRY(check_backward(t, inputs, &step, a, addend >= 0 ? t->numbers[addend] : NULL));
done:
    return st;
}

/* ---- One problem -------------------------------------------------------- */

static void report(const trial *t, sal_status st, const char *text)
{
    suite *s = t->s;
    const sal_node *n = &t->graph.nodes[t->node];
    if (st == SAL_OK) {
        s->passed++;
        if (t->seconds > 0.0) {
            double flops = (double)sal_op_get(n->op)->flops(&t->graph, n) * (double)t->p->batch;
            printf("%10.1f us %8.2f GFLOP/s  %s (%s)\n", 1e6 * t->seconds, 1e-9 * flops / t->seconds, text,
                   t->algorithm);
        } else if (s->list) {
            printf("ok: %s (%s)\n", text, t->algorithm);
        }
    } else if (t->skip) {
        s->skipped++;
        printf("skip: %s: %s\n", text, t->reason);
    } else {
        s->failed++;
        printf("FAIL: %s (%s): %s (--seed %llu)\n", text, t->algorithm, t->reason[0] ? t->reason : sal_last_error(),
               (unsigned long long)s->seed);
    }
}

static void try_one(suite *s, const problem *p)
{
    char text[TEXT];
    problem_text(text, sizeof text, p);
    int conv = p->kind == SAL_STEP_CONV || p->kind == SAL_STEP_CONV_BACKWARD;
    if ((p->large && !s->bench) || (conv && p->in_place && s->backend->distinct_convs) || !suite_wants(s, text))
        return;
    trial t = {.s = s, .p = p, .dice = {dice_seed(s->seed, text)}, .accuracy = 1.0};
    answers a = {0};
    int inputs[SUITE_MAX_INPUTS] = {0};
    sal_status st = trial_make_node(&t);
    if (st == SAL_OK)
        st = add_inputs(&t, inputs);
    if (st == SAL_OK)
        st = p->kind < SAL_STEP_CONV_BACKWARD ? try_forward(&t, inputs, &a) : try_backward(&t, inputs, &a);
    report(&t, st, text);
    answers_close(&a);
    trial_close(&t);
}

void suite_try(suite *s, const problem *p)
{
    problem again = *p;
    try_one(s, p);
    if (!ties_can_be(p))
        return;
    again.ties = TIES_FLAT;
    try_one(s, &again);
    again.ties = TIES_STRIPED;
    if (p->op == SAL_OP_CONV)
        try_one(s, &again);
}
